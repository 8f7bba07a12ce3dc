package import BackendInterface
package import Tensors

/// The definition of the operator (paper, section 2), evaluated line by line in float64: all pairs of tokens, whatever form is
/// asked for. Inputs of any type are widened exactly; outputs, states and gradients are float64, states with exponent zero.
///
/// - Complexity: O(t²·(d + e)) time a head; O(t·D·(e + p)) besides where a state goes in or out.
package struct ReferenceBackend: AttentionBackend {
    package init() {}

    package func forward(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, finalState: Bool
    ) throws(PowerAttentionError) -> AttentionResult {
        let heads = ReferenceHeads(problem, inputs, needsExpansion: finalState)
        let results = parallelMap(heads.count) { index in
            let head = heads.head(index)
            return (y: head.outputs(), state: finalState ? heads.expansion.map(head.finalState) : nil)
        }
        let shape = problem.outputShape(inputs.q.shape)
        let y = heads.assembleQueries(results.map(\.y), width: problem.valueWidth, shape: shape)
        return AttentionResult(
            context: AttentionContext(output: y, rowStatistics: nil),
            finalState: finalState ? heads.assemble(results.compactMap(\.state)) : nil)
    }

    package func backward(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, context: AttentionContext, outputGradient: Tensor,
        finalStateGradient: ExpandedState?
    ) throws(PowerAttentionError) -> AttentionGradients {
        let heads = ReferenceHeads(problem, inputs, needsExpansion: finalStateGradient != nil)
        let dy = outputGradient.doubles
        let stateGradient = finalStateGradient?.widened
        let results = parallelMap(heads.count) { index in
            heads.head(index).gradients(
                heads.queries(of: dy, width: problem.valueWidth, index),
                stateGradient.map { heads.gradient($0, index) })
        }
        return AttentionGradients(
            q: heads.assembleQueries(results.map(\.q), width: problem.keyWidth, shape: inputs.q.shape),
            k: heads.assembleKeys(results.map(\.k), width: problem.keyWidth, shape: inputs.k.shape),
            v: heads.assembleKeys(results.map(\.v), width: problem.valueWidth, shape: inputs.v.shape),
            logG: inputs.logG.map { heads.assembleKeys(results.map(\.logG), width: 1, shape: $0.shape) },
            initialState: inputs.initialState.map {
                heads.assemble(results.compactMap(\.initialState), exponent: $0.exponent)
            })
    }
}

/// The results of `body(0) … body(count − 1)`, computed on all cores.
private func parallelMap<Result: Sendable>(_ count: Int, _ body: @Sendable (Int) -> Result) -> [Result] {
    [Result](unsafeUninitializedCapacity: count) { buffer, initialized in
        guard let base = buffer.baseAddress else { return }
        let results = Shared(base)
        parallelFor(count) { (results.pointer + $0).initialize(to: body($0)) }
        initialized = count
    }
}
