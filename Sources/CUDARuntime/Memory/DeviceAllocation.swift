import Tensors

/// Memory as the driver gives it.
struct DeviceAllocation: ~Copyable, Sendable {
    let address: UInt64
    private let session: DriverSession

    /// - Throws: `outOfMemory` where the card has no room.
    init(_ session: DriverSession, byteCount: Int) throws(PowerAttentionError) {
        var address: UInt64 = 0
        try session.check(session.driver.memAlloc(&address, byteCount), "cuMemAlloc", "\(byteCount) bytes")
        self.address = address
        self.session = session
    }

    deinit { session.release { $0.memFree(address) } }
}
