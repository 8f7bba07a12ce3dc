import Tensors

/// A graph as the driver runs it.
struct GraphExecutable: ~Copyable, Sendable {
    let handle: Driver.Handle
    private let session: DriverSession

    init(_ session: DriverSession, _ graph: borrowing CapturedGraph) throws(PowerAttentionError) {
        var handle: Driver.Handle = 0
        try session.check(
            session.driver.graphInstantiate(&handle, graph.handle, 0), "cuGraphInstantiateWithFlags")
        self.handle = handle
        self.session = session
    }

    deinit { session.release { $0.graphExecDestroy(handle) } }
}
