package import Tensors

/// A point in the work of a stream.
package struct Event: ~Copyable {
    let handle: Driver.Handle
    private let driver: Driver

    init(_ driver: Driver, stream: Driver.Handle) throws(PowerAttentionError) {
        var handle: Driver.Handle = 0
        try driver.check(driver.createEvent(&handle), "cuEventCreate")
        let status = driver.recordEvent(handle, stream)
        if status != 0 { _ = driver.destroyEvent(handle) }
        try driver.check(status, "cuEventRecord")
        self.handle = handle
        self.driver = driver
    }

    /// The time that the card took from another event to this one; waits for this one.
    package func milliseconds(since start: borrowing Event) throws(PowerAttentionError) -> Double {
        try driver.check(driver.synchronizeEvent(handle), "cuEventSynchronize")
        var milliseconds: Float = 0
        try driver.check(driver.elapsedTime(&milliseconds, start.handle, handle), "cuEventElapsedTime")
        return Double(milliseconds)
    }

    deinit { _ = driver.destroyEvent(handle) }
}
