import Tensors

/// A queue of the card's work, done in the order in which it was queued.
struct Stream: ~Copyable, Sendable {
    let handle: Driver.Handle
    private let session: DriverSession

    init(_ session: DriverSession) throws(PowerAttentionError) {
        // CU_STREAM_NON_BLOCKING: work that other libraries put into the default stream does not hold it up.
        let nonBlocking: CUnsignedInt = 1
        var handle: Driver.Handle = 0
        try session.check(session.driver.streamCreate(&handle, nonBlocking), "cuStreamCreate")
        self.handle = handle
        self.session = session
    }

    deinit { session.release { $0.streamDestroy(handle) } }
}
