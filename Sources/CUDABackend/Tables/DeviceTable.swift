package import CUDARuntime
package import Tensors

extension CUDAContext {
    /// The elements of an array in the memory of the card; one unused element where there are none.
    func upload<Element: BitwiseCopyable & Sendable>(_ elements: [Element]) throws(PowerAttentionError) -> DeviceMemory {
        let memory = try allocate(max(elements.count, 1) * MemoryLayout<Element>.stride)
        let failure = elements.withUnsafeBytes { bytes -> PowerAttentionError? in
            do throws(PowerAttentionError) {
                if !bytes.isEmpty { try copy(bytes, to: memory.pointer) }
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
        return memory
    }

    /// The elements of a tensor in the memory of the card.
    package func upload(_ tensor: Tensor) throws(PowerAttentionError) -> DeviceMemory {
        let bytes = tensor.count * tensor.dataType.byteCount
        let memory = try allocate(max(bytes, 16))
        if bytes > 0 {
            try copy(UnsafeRawBufferPointer(start: tensor.pointer(to: UInt8.self), count: bytes), to: memory.pointer)
            withExtendedLifetime(tensor) {}
        }
        return memory
    }

    /// A tensor of what is in the memory of the card; waits for it.
    func download(_ pointer: DevicePointer, _ shape: [Int], _ dataType: DataType) throws(PowerAttentionError) -> Tensor {
        var tensor = Tensor(uninitialized: shape, dataType)
        let bytes = tensor.count * dataType.byteCount
        if bytes > 0 {
            try copy(pointer, to: UnsafeMutableRawBufferPointer(start: tensor.mutablePointer(to: UInt8.self), count: bytes))
        }
        return tensor
    }

    /// Memory of `count` elements of `bytes` bytes, at least one.
    func allocate(_ count: Int, _ bytes: Int) throws(PowerAttentionError) -> DeviceMemory {
        try allocate(max(count, 1) * bytes)
    }
}

extension KernelArgument {
    static func int(_ value: Int) -> KernelArgument { .int32(Int32(value)) }
    static func flag(_ value: Bool) -> KernelArgument { .int32(value ? 1 : 0) }
}
