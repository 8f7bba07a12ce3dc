package import CUDARuntime
package import Tensors

/// Memory of a card as the storage of a tensor.
final class CardBuffer: DeviceBuffer {
    let memory: DeviceMemory
    private let context: CUDAContext

    init(_ memory: DeviceMemory, _ context: CUDAContext) {
        self.memory = memory
        self.context = context
    }

    var address: UInt64 { memory.pointer.address }
    var byteCount: Int { memory.byteCount }

    func read(from offset: Int, into bytes: UnsafeMutableRawBufferPointer) throws(PowerAttentionError) {
        try context.copy(memory.pointer.advanced(by: offset), to: bytes)
    }

    func write(_ bytes: UnsafeRawBufferPointer, to offset: Int) throws(PowerAttentionError) {
        try context.copy(bytes, to: memory.pointer.advanced(by: offset))
    }
}

extension CUDAContext {
    /// A tensor with undefined contents on the card.
    func tensor(_ shape: [Int], _ dataType: DataType) throws(PowerAttentionError) -> Tensor {
        try tensor(allocate(max(shape.reduce(dataType.byteCount, *), 16)), shape, dataType)
    }

    /// Memory of the card as a tensor.
    func tensor(_ memory: DeviceMemory, _ shape: [Int], _ dataType: DataType) -> Tensor {
        Tensor(shape, dataType, in: CardBuffer(memory, self))
    }
}

extension Tensor {
    /// Where the card finds the elements.
    ///
    /// - Precondition: they are on a card.
    package var devicePointer: DevicePointer {
        guard let (buffer, offset) = storage.devicePlace else { preconditionFailure("a tensor of the host given to a card") }
        return DevicePointer(address: buffer.address).advanced(by: offset)
    }

    /// The number of elements in a row.
    var rowWidth: Int { shape.last ?? 1 }
    var rowCount: Int { shape.dropLast().reduce(1, *) }
}

extension KernelArgument {
    static func tensor(_ tensor: Tensor?) -> KernelArgument { .pointer(tensor?.devicePointer, heldBy: tensor?.storage) }
    static func count(_ value: Int) -> KernelArgument { .int64(Int64(value)) }
}
