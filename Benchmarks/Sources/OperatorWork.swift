package import PowerAttention

/// The arithmetic and the memory traffic that one call needs by the definition of its form, whatever a kernel does.
package struct OperatorWork: Sendable {
    package let operations: Double
    package let bytes: Double
    package let form: AttentionConfiguration.Form
    package let chunkSize: Int
    /// How `operations` is computed.
    package let formula: String

    package init(_ benchmark: OperatorBenchmark, _ pass: OperatorPass, device: Device) throws(PowerAttentionError) {
        let decodes = pass == .decode
        let shape = AttentionShape(
            batch: benchmark.batch, length: benchmark.length, heads: benchmark.queryHeads, keyHeads: benchmark.keyHeads,
            width: benchmark.keyWidth, valueWidth: benchmark.valueWidth)
        let attention = try AttentionOperator(benchmark.configuration, device: device)
        let cost = try attention.cost(of: shape, initialState: decodes, finalState: decodes)
        let numbers = Double(benchmark.dataType.byteCount) / 2 * cost.inputOutputBytes
        let gates = benchmark.gated ? 4 * Double(cost.tokens * benchmark.keyHeads) : 0
        let forwardBytes = numbers + gates + cost.stateTrafficBytes
        form = cost.form
        chunkSize = cost.chunkSize
        let forward = Self.formula(cost)
        switch pass {
        case .forward, .decode: (operations, bytes, formula) = (cost.forwardFLOPs, forwardBytes, forward)
        // Every tensor of the forward pass is read, and its gradient is read or written.
        case .backward: (operations, bytes, formula) = (cost.backwardFLOPs, 2 * forwardBytes, "2.5·(\(forward))")
        case .both: (operations, bytes, formula) = (cost.trainingFLOPs, 3 * forwardBytes, "3.5·(\(forward))")
        }
    }

    private static func formula(_ cost: AttentionCost) -> String {
        let pairs = "2·(d + e)·hq·pairs"
        let state = "2·D·(e + normalizer)·(hq·tokens that read + h·tokens that are added)"
        if cost.expandedFLOPs == 0 { return pairs }
        return cost.pairFLOPs == 0 ? state : "\(pairs) + \(state)"
    }
}
