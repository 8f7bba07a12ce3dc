import Synchronization
import Tensors

/// cuDNN on one card and one stream, with the plans that were made for it.
final class CUDNNSession: Sendable {
    let library: CUDNN
    let handle: CUDNN.Handle
    private let session: DriverSession
    private let plans = Mutex<[String: OperationPlan]>([:])

    /// - Throws: `unsupported` for a version older than `version`.
    init(
        _ session: DriverSession, _ library: CUDNN, stream: Driver.Handle, atLeast version: Int
    ) throws(PowerAttentionError) {
        guard library.getVersion() >= version else {
            throw PowerAttentionError(
                .unsupported, argument: "libcudnn", given: CUDNN.text(version: library.getVersion()),
                expected: "\(CUDNN.text(version: version)) or newer")
        }
        var handle: CUDNN.Handle = 0
        try library.check(library.create(&handle), "Create")
        self.session = session
        self.library = library
        self.handle = handle
        try library.check(library.setStream(handle, stream), "SetStream")
    }

    deinit {
        // What was made with a handle goes before it.
        plans.withLock { $0 = [:] }
        session.release { _ in library.destroy(handle) }
    }

    /// The plan of this name, made where it is asked for the first time. Most of the time that takes is the compilation of a kernel.
    func plan(
        _ name: String, _ make: (OperationGraph) throws(PowerAttentionError) -> Void
    ) throws(PowerAttentionError) -> OperationPlan {
        if let known = plans.withLock({ $0[name] }) { return known }
        let graph = OperationGraph(library)
        try make(graph)
        let plan = try OperationPlan(graph, handle)
        plans.withLock { plans in
            if plans.count >= 64 { plans.removeAll() }
            plans[name] = plan
        }
        return plan
    }
}
