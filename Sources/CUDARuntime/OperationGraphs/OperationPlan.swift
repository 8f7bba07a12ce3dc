import Tensors

/// How cuDNN carries out a graph on one card: the engine that its own judgement puts first of those that serve it.
package final class OperationPlan: Sendable {
    let plan: BackendDescriptor
    /// Bytes that a run needs beside the tensors.
    let workspaceBytes: Int

    /// Engines that are tried.
    private static let candidates = 8

    /// - Throws: `unsupported` where no engine serves the graph, `device` with the library's words where none can be made.
    init(_ graph: OperationGraph, _ handle: CUDNN.Handle) throws(PowerAttentionError) {
        let library = graph.library
        let operations = try BackendDescriptor(.operationGraph, library)
        try operations.set(.graphHandle, handle: handle)
        try operations.set(.graphOperations, graph.operations)
        try operations.finalize()
        let heuristics = try BackendDescriptor(.engineHeuristics, library)
        try heuristics.set(.heuristicsGraph, [operations])
        // CUDNN_HEUR_MODE_A.
        try heuristics.set(.heuristicsMode, 3, of: .heuristicsMode)
        try heuristics.finalize()
        var configurations: [BackendDescriptor] = []
        for _ in 0..<Self.candidates { configurations.append(try BackendDescriptor(.engineConfiguration, library)) }
        let count = try heuristics.get(.heuristicsResults, into: configurations)
        var refusal: PowerAttentionError?
        for configuration in configurations.prefix(count) {
            do throws(PowerAttentionError) {
                let plan = try BackendDescriptor(.executionPlan, library)
                try plan.set(.planHandle, handle: handle)
                try plan.set(.planConfiguration, [configuration])
                try plan.finalize()
                workspaceBytes = try plan.integer(.planWorkspace)
                self.plan = plan
                return
            } catch { refusal = refusal ?? error }
        }
        throw refusal
            ?? PowerAttentionError(
                .unsupported, argument: "graph of \(graph.operations.count) operations", given: "no engine of cuDNN for it",
                expected: "shapes and types that cuDNN \(CUDNN.text(version: library.getVersion())) serves on this card")
    }
}
