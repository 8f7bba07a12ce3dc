import BackendInterface
import CUDARuntime
import Foundation
import Tensors

/// Exponential attention by cuDNN. Its kernels have no source here, and are as fast as the card: what other mechanisms are compared with.
struct LibraryAttention: Sendable {
    private let context: CUDAContext
    private let graphs: LibraryAttentionGraphs
    private let numbers: [Int: Float]
    private let forwardPlan: OperationPlan

    private typealias Tensor = LibraryAttentionGraphs.Tensor

    /// - Returns: `nil` where the kernels of this package serve the problem.
    /// - Throws: what is in the way, where `POWER_CUDNN` requires the library.
    static func serving(
        _ problem: AttentionProblem, dataType: DataType, isGated: Bool, on context: CUDAContext
    ) throws(PowerAttentionError) -> LibraryAttention? {
        guard let shape = LibraryAttentionShape(problem, dataType: dataType, isGated: isGated) else { return nil }
        let choice = try LibraryChoice(environment: ProcessInfo.processInfo.environment)
        guard choice != .off else { return nil }
        do throws(PowerAttentionError) {
            return try LibraryAttention(shape, scale: Float(problem.scale), context)
        } catch {
            guard choice == .require else { return nil }
            throw error
        }
    }

    private init(_ shape: LibraryAttentionShape, scale: Float, _ context: CUDAContext) throws(PowerAttentionError) {
        self.context = context
        let graphs = LibraryAttentionGraphs(shape)
        self.graphs = graphs
        numbers = [
            Tensor.scale.rawValue: scale, Tensor.minusInfinity.rawValue: -.infinity, Tensor.one.rawValue: 1,
        ]
        forwardPlan = try context.plan("attention forward, \(shape)") { graph throws(PowerAttentionError) in
            try graphs.forward(graph)
        }
    }

    /// y, rounded, and the log-sums of rows as the library keeps them: `[sequences, heads, tokens]`.
    func forward(_ inputs: PassInputs) throws(PowerAttentionError) -> PassOutput {
        let shape = graphs.shape
        let y = try context.allocate(2 * shape.outputs.count)
        let statistics = try context.allocate(4 * shape.statistics.count)
        try execute(
            forwardPlan,
            [.q: inputs.q, .k: inputs.k, .v: inputs.v, .y: y.pointer, .statistics: statistics.pointer],
            numbers: [.scale, .minusInfinity])
        return PassOutput(
            y: y, exact: y, statistics: statistics, prepared: PreparedInputs(given: inputs), states: nil, finalState: nil)
    }

    func backward(
        _ inputs: PassInputs, _ output: PassOutput, dy: DevicePointer
    ) throws(PowerAttentionError) -> PassGradients {
        let shape = graphs.shape
        let graphs = graphs
        let plan = try context.plan("attention backward, \(shape)") { graph throws(PowerAttentionError) in
            try graphs.backward(graph)
        }
        let (dq, dk) = (try context.allocate(2 * shape.queries.count), try context.allocate(2 * shape.keys.count))
        let dv = try context.allocate(2 * shape.values.count)
        let offsets = try context.allocate(graphs.offsetBytes)
        let queryGradients = try context.allocate(graphs.queryGradientBytes)
        try execute(
            plan,
            [
                .q: inputs.q, .k: inputs.k, .v: inputs.v, .y: output.y.pointer, .statistics: output.statistics.pointer,
                .dy: dy, .dq: dq.pointer, .dk: dk.pointer, .dv: dv.pointer, .offsets: offsets.pointer,
                .queryGradients: queryGradients.pointer,
            ], numbers: [.scale, .minusInfinity, .one])
        return PassGradients(q: dq, k: dk, v: dv, logG: nil, initialState: nil)
    }

    private func execute(
        _ plan: OperationPlan, _ tensors: [Tensor: DevicePointer], numbers used: [Tensor]
    ) throws(PowerAttentionError) {
        try context.execute(
            plan, Dictionary(uniqueKeysWithValues: tensors.map { ($0.rawValue, $1) }),
            numbers: numbers.filter { number in used.contains { $0.rawValue == number.key } })
    }
}
