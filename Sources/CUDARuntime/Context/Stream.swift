import Tensors

/// A queue of work on a card, done in order.
struct Stream: ~Copyable {
    let handle: Driver.Handle
    private let driver: Driver

    init(_ driver: Driver) throws(PowerAttentionError) {
        var handle: Driver.Handle = 0
        try driver.check(driver.createStream(&handle), "cuStreamCreate")
        self.handle = handle
        self.driver = driver
    }

    deinit { _ = driver.destroyStream(handle) }
}
