/// What a graph needs beside memory of the card, collected while it is captured.
struct CaptureRecord: Sendable {
    /// The bytes of copies to the card, which every replay reads again.
    var copies: [HostBytes] = []
}

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
