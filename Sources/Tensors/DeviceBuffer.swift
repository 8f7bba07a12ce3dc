/// A block of memory of a device that the host cannot read through.
///
/// The device's work and these copies are done in the order in which they are asked for.
package protocol DeviceBuffer: AnyObject, Sendable {
    /// Where the device finds the first byte.
    var address: UInt64 { get }
    var byteCount: Int { get }

    /// Copies bytes from `offset` on to the host, and waits for them.
    func read(from offset: Int, into bytes: UnsafeMutableRawBufferPointer) throws(PowerAttentionError)
    /// Copies bytes of the host to `offset`; they may be changed as soon as this returns.
    func write(_ bytes: UnsafeRawBufferPointer, to offset: Int) throws(PowerAttentionError)
}

extension Tensor {
    /// A tensor in the memory of a device.
    package init(_ shape: [Int], _ dataType: DataType, in buffer: any DeviceBuffer) {
        guard let bytes = Self.byteCount(shape, dataType) else { preconditionFailure("illegal shape \(shape)") }
        self.init(shape: shape, dataType: dataType, storage: Storage(buffer, byteCount: bytes))
    }

    /// Whether the elements are in the memory of a device, where only its backend reads them.
    package var isOnDevice: Bool { storage.isOnDevice }

    /// The same elements in host memory, after all that the device was asked to do; the tensor itself where it is there.
    package func onHost() throws(PowerAttentionError) -> Tensor {
        guard let (buffer, offset) = storage.devicePlace else { return self }
        var result = Tensor(uninitialized: shape, dataType)
        let bytes = UnsafeMutableRawBufferPointer(start: result.mutablePointer(to: UInt8.self), count: storage.byteCount)
        if !bytes.isEmpty { try buffer.read(from: offset, into: bytes) }
        return result
    }

    /// Overwrites the elements, whoever else shares them, with those of a tensor in host memory: what is on a device stays where it is,
    /// because work that was recorded knows its address.
    ///
    /// - Precondition: this tensor is on a device, and the other has its shape and type.
    package func overwrite(with host: Tensor) throws(PowerAttentionError) {
        guard let (buffer, offset) = storage.devicePlace else { preconditionFailure("the host's tensors are values") }
        precondition(host.shape == shape && host.dataType == dataType, "\(host.shape) over \(shape)")
        guard storage.byteCount > 0 else { return }
        let bytes = UnsafeRawBufferPointer(start: host.pointer(to: UInt8.self), count: storage.byteCount)
        try buffer.write(bytes, to: offset)
        withExtendedLifetime(host) {}
    }
}
