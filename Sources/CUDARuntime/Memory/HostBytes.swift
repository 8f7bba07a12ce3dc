/// Bytes of the host that stay where they are.
final class HostBytes: Sendable {
    private let address: UInt

    init(copying bytes: UnsafeRawBufferPointer) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        copy.copyMemory(from: bytes)
        address = UInt(bitPattern: copy.baseAddress!)
    }

    deinit { UnsafeMutableRawPointer(bitPattern: address)?.deallocate() }

    var start: UnsafeRawPointer { UnsafeRawPointer(bitPattern: address)! }
}
