import Tensors

/// The context of a card that all libraries of a process share.
struct PrimaryContext: ~Copyable, Sendable {
    let handle: Driver.Handle
    private let driver: Driver
    private let device: CInt

    init(_ driver: Driver, device: CInt) throws(PowerAttentionError) {
        var handle: Driver.Handle = 0
        try driver.check(driver.devicePrimaryCtxRetain(&handle, device), "cuDevicePrimaryCtxRetain")
        self.handle = handle
        self.driver = driver
        self.device = device
    }

    deinit { _ = driver.devicePrimaryCtxRelease(device) }
}
