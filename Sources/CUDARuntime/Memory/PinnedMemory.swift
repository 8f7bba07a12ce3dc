import Tensors

/// Memory of the host that the card reads and writes by itself, while the host does something else. Given back with its last owner, who
/// sees to it that no copy is under way.
package final class PinnedMemory: @unchecked Sendable {
    package let bytes: UnsafeMutableRawBufferPointer
    private let session: DriverSession

    init(_ session: DriverSession, byteCount: Int) throws(PowerAttentionError) {
        var start: UnsafeMutableRawPointer?
        try session.check(session.driver.memHostAlloc(&start, max(byteCount, 1), 0), "cuMemHostAlloc", "\(byteCount) bytes")
        bytes = UnsafeMutableRawBufferPointer(start: start, count: byteCount)
        self.session = session
    }

    deinit { session.release { $0.memFreeHost(bytes.baseAddress) } }
}
