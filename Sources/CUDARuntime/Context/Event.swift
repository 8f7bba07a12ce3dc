package import Tensors

/// A point in the stream's work, with the time at which the card passed it.
package struct Event: ~Copyable, Sendable {
    private let handle: Driver.Handle
    private let session: DriverSession

    init(_ session: DriverSession) throws(PowerAttentionError) {
        var handle: Driver.Handle = 0
        try session.check(session.driver.eventCreate(&handle, 0), "cuEventCreate")
        self.handle = handle
        self.session = session
    }

    deinit { session.release { $0.eventDestroy(handle) } }

    /// Puts the event behind what is queued so far.
    func record(in stream: borrowing Stream) throws(PowerAttentionError) {
        try session.check(session.driver.eventRecord(handle, stream.handle), "cuEventRecord")
    }

    /// Waits until the card has passed the event.
    package func wait() throws(PowerAttentionError) {
        try session.makeCurrent()
        try session.check(session.driver.eventSynchronize(handle), "cuEventSynchronize")
    }

    /// Waits for both, and gives the milliseconds that the card took from `earlier` to this one. The resolution is about half a
    /// microsecond.
    package func milliseconds(since earlier: borrowing Event) throws(PowerAttentionError) -> Double {
        try earlier.wait()
        try wait()
        var milliseconds: Float = 0
        try session.check(session.driver.eventElapsedTime(&milliseconds, earlier.handle, handle), "cuEventElapsedTime")
        return Double(milliseconds)
    }
}
