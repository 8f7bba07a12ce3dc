import Tensors

/// The context of a card that the whole process shares.
struct PrimaryContext: ~Copyable {
    let handle: Driver.Handle
    private let device: Int32
    private let driver: Driver

    init(device: Int32, _ driver: Driver) throws(PowerAttentionError) {
        var handle: Driver.Handle = 0
        try driver.check(driver.retainContext(&handle, device), "cuDevicePrimaryCtxRetain")
        self.handle = handle
        self.device = device
        self.driver = driver
    }

    deinit { _ = driver.releaseContext(device) }
}
