package import CUDARuntime
package import Tensors

/// Exponential attention as operations of cuDNN, which knows them by their pattern: the order of the operations and the types of what is
/// between them are those that its fused kernels are found by.
package struct LibraryAttentionGraphs: Sendable {
    private typealias Node = OperationGraph.Node

    let shape: LibraryAttentionShape

    package init(_ shape: LibraryAttentionShape) { self.shape = shape }

    /// The tensors of the two graphs.
    package enum Tensor: Int, Sendable {
        case q = 1, k, v, y, statistics
        case scale, minusInfinity, one
        case dy, dq, dk, dv
        /// ∂y·y of every row, and ∂q before rounding.
        case offsets, queryGradients
    }

    /// y and the log-sums of rows:
    ///
    ///     s_ij = scale · q_i·k_j,   L_i = log Σ_(j≤i) exp(s_ij),   y_i = Σ_(j≤i) exp(s_ij − L_i) v_j
    package func forward(_ graph: OperationGraph) throws(PowerAttentionError) {
        let q = try memory(graph, .q, shape.queries)
        let k = try memory(graph, .k, shape.keys.transposed)
        let v = try memory(graph, .v, shape.values)
        let scores = try masked(graph, scores(graph, q, k))
        let maximum = try graph.reduction(.maximum, scores, into: graph.intermediate(shape.statistics))
        let shifted = try graph.pointwise(.subtract, scores, maximum, into: graph.intermediate(shape.weights))
        let weights = try graph.pointwise(.exp, shifted, into: graph.intermediate(shape.weights))
        let sums = try graph.reduction(.sum, weights, into: graph.intermediate(shape.statistics))
        let logarithms = try graph.pointwise(.log, sums, into: graph.intermediate(shape.statistics))
        try graph.pointwise(.add, maximum, logarithms, into: memory(graph, .statistics, shape.statistics, .float32))
        let normalized = try graph.pointwise(.divide, weights, sums, into: graph.intermediate(shape.weights, .bfloat16))
        try graph.product(normalized, v, into: memory(graph, .y, shape.outputs))
    }

    /// The gradients of q, k and v:
    ///
    ///     a_ij = exp(s_ij − L_i),   ∂v = aᵀ·∂y,   ∂s = scale · a ∘ (∂y·vᵀ − ∂y·y),   ∂q = ∂s·k,   ∂k = ∂sᵀ·q
    ///
    /// ∂q is summed up in memory by blocks of keys, in the order in which they come: its last bits differ from run to run.
    package func backward(_ graph: OperationGraph) throws(PowerAttentionError) {
        let q = try memory(graph, .q, shape.queries)
        let k = try memory(graph, .k, shape.keys.transposed)
        let v = try memory(graph, .v, shape.values.transposed)
        let dy = try memory(graph, .dy, shape.outputs)
        let products = try graph.pointwise(
            .multiply, dy, memory(graph, .y, shape.outputs),
            into: graph.intermediate(shape.packed(shape.length, shape.valueWidth)))
        let sums = try graph.reduction(.sum, products, into: graph.intermediate(shape.statistics))
        let offsets = try graph.pointwise(
            .multiply, sums, graph.number(Tensor.one.rawValue), into: memory(graph, .offsets, shape.statistics, .float32))

        let scale = try graph.number(Tensor.scale.rawValue)
        let statistics = try memory(graph, .statistics, shape.statistics, .float32)
        let logarithms = try graph.pointwise(
            .subtract, scores(graph, q, k, scale), statistics, into: graph.intermediate(shape.weights))
        let weights = try graph.pointwise(.exp, masked(graph, logarithms), into: graph.intermediate(shape.weights))
        try keyGradient(graph, weights, dy, memory(graph, .dv, shape.values), width: shape.valueWidth)

        let differences = try graph.pointwise(
            .subtract, graph.product(dy, v, into: graph.intermediate(shape.weights)), offsets,
            into: graph.intermediate(shape.weights))
        let unscaled = try graph.pointwise(.multiply, differences, weights, into: graph.intermediate(shape.weights))
        let gradients = try graph.pointwise(.multiply, unscaled, scale, into: graph.intermediate(shape.weights))
        try keyGradient(graph, gradients, q, memory(graph, .dk, shape.keys), width: shape.keyWidth)

        let rows = try graph.reshape(k, into: graph.intermediate(shape.keys, .bfloat16))
        let sum = try graph.product(
            gradients, rows, into: memory(graph, .queryGradients, shape.packed(shape.length, shape.keyWidth), .float32))
        try graph.pointwise(.identity, sum, into: memory(graph, .dq, shape.queries))
    }

    /// Bytes of ``Tensor/offsets`` and ``Tensor/queryGradients``.
    var offsetBytes: Int { 4 * shape.statistics.count }
    var queryGradientBytes: Int { 4 * shape.queries.count }

    private func memory(
        _ graph: OperationGraph, _ tensor: Tensor, _ layout: TensorLayout, _ element: OperationGraph.Element = .bfloat16
    ) throws(PowerAttentionError) -> Node {
        try graph.memory(tensor.rawValue, layout, element)
    }

    private func scores(
        _ graph: OperationGraph, _ q: Node, _ k: Node, _ scale: Node? = nil
    ) throws(PowerAttentionError) -> Node {
        let scale = if let scale { scale } else { try graph.number(Tensor.scale.rawValue) }
        let products = try graph.product(q, k, into: graph.intermediate(shape.weights))
        return try graph.pointwise(.multiply, products, scale, into: graph.intermediate(shape.weights))
    }

    /// −∞ where the key comes after the query.
    private func masked(_ graph: OperationGraph, _ scores: Node) throws(PowerAttentionError) -> Node {
        let rows = try graph.pointwise(.index, scores, axis: 2, into: graph.intermediate(shape.weights, .int32))
        let columns = try graph.pointwise(.index, scores, axis: 3, into: graph.intermediate(shape.weights, .int32))
        let isSeen = try graph.pointwise(.isAtLeast, rows, columns, into: graph.intermediate(shape.weights, .boolean))
        return try graph.pointwise(
            .select, scores, graph.number(Tensor.minusInfinity.rawValue), isSeen, into: graph.intermediate(shape.weights))
    }

    /// `weightsᵀ·rows` of every query head, summed over those that read one key head.
    private func keyGradient(
        _ graph: OperationGraph, _ weights: Node, _ rows: Node, _ result: Node, width: Int
    ) throws(PowerAttentionError) {
        let transposed = try graph.reshape(weights, into: graph.intermediate(shape.weights.transposed, .bfloat16))
        guard shape.queryHeads != shape.keyHeads else {
            try graph.product(transposed, rows, into: result)
            return
        }
        let heads = try graph.product(transposed, rows, into: graph.intermediate(shape.packed(shape.length, width), .bfloat16))
        try graph.reduction(.sum, heads, into: result)
    }
}
