import Tensors

/// A graph as it was captured.
struct CapturedGraph: ~Copyable, Sendable {
    let handle: Driver.Handle
    private let session: DriverSession

    /// Ends the capture of a stream.
    init(_ session: DriverSession, endingCaptureOf stream: borrowing Stream) throws(PowerAttentionError) {
        var handle: Driver.Handle = 0
        try session.check(session.driver.streamEndCapture(stream.handle, &handle), "cuStreamEndCapture")
        self.handle = handle
        self.session = session
    }

    deinit { session.release { $0.graphDestroy(handle) } }
}
