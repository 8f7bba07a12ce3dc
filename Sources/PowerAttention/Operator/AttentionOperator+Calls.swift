import BackendInterface
public import Tensors

extension AttentionOperator {
    /// The outputs `y [b, t, hq, e]` of `q [b, t, hq, d]`, `k [b, t, h, d]`, `v [b, t, h, e]`, in their type.
    ///
    /// - Parameters:
    ///   - logG: logarithms of the gates, `[b, t, h]` in float32, −∞ … 0; a gate of one everywhere if `nil`.
    ///   - cuSeqlens: the n + 1 offsets, from 0 to t, of the sequences packed one after another into a batch of one.
    ///   - initialState: what the sequences have seen before their first token.
    /// - Throws: `PowerAttentionError` that names the argument at fault.
    /// - Complexity: O(t²·(d + e)) in the attention form, O(t·(c·(d + e) + D·e)) in the chunked form, a query head.
    public func forward(
        q: Tensor, k: Tensor, v: Tensor, logG: Tensor? = nil, cuSeqlens: [Int]? = nil, initialState: RecurrentState? = nil
    ) throws(PowerAttentionError) -> Tensor {
        let inputs = try inputs(q, k, v, logG, cuSeqlens, initialState)
        return try forward(inputs, cuSeqlens: cuSeqlens).context.output.converted(to: q.dataType)
    }

    /// The outputs, and the state after the last token of every sequence.
    ///
    /// - Throws: `PowerAttentionError` as ``forward(q:k:v:logG:cuSeqlens:initialState:)`` does, and where the state would not fit
    ///   in memory.
    public func forwardWithState(
        q: Tensor, k: Tensor, v: Tensor, logG: Tensor? = nil, cuSeqlens: [Int]? = nil, initialState: RecurrentState? = nil
    ) throws(PowerAttentionError) -> (y: Tensor, state: RecurrentState) {
        let inputs = try inputs(q, k, v, logG, cuSeqlens, initialState)
        let problem = try problem(inputs, cuSeqlens: cuSeqlens, finalState: true)
        let result = try forward(inputs, cuSeqlens: cuSeqlens, finalState: true)
        guard let expansion = problem.expansion, let expanded = result.finalState else {
            preconditionFailure("a backend returns the state that it is asked for")
        }
        let shape = AttentionShape(
            batch: problem.sequences.count, length: 1, heads: problem.keyHeads, width: problem.keyWidth,
            valueWidth: problem.valueWidth)
        var state = RecurrentState(shape, expansion, switchOver: initialState?.switchOver ?? 1)
        state.expanded = expanded
        state.tokens = problem.sequences.indices.map { problem.sequences[$0].count + (initialState?.tokens[$0] ?? 0) }
        return (result.context.output.converted(to: q.dataType), state)
    }

    /// The gradients of a scalar L, given `dy = ∂L/∂y [b, t, hq, e]`.
    ///
    /// - Parameter finalStateGradient: `∂L/∂(S, z)` of the state that ``forwardWithState(q:k:v:logG:cuSeqlens:initialState:)`` returns.
    /// - Complexity: 2.5 times the forward pass, which is run once more for what it leaves behind.
    public func backward(
        q: Tensor, k: Tensor, v: Tensor, logG: Tensor? = nil, cuSeqlens: [Int]? = nil, initialState: RecurrentState? = nil,
        dy: Tensor, finalStateGradient: StateGradient? = nil
    ) throws(PowerAttentionError) -> Gradients {
        let inputs = try inputs(q, k, v, logG, cuSeqlens, initialState)
        let result = try forward(inputs, cuSeqlens: cuSeqlens, finalState: finalStateGradient != nil)
        var stateGradient: ExpandedState?
        if let finalStateGradient, let exponent = result.finalState?.exponent {
            stateGradient = ExpandedState(S: finalStateGradient.S, z: finalStateGradient.z, exponent: exponent)
        }
        let gradients = try backward(
            inputs, context: result.context, outputGradient: dy, cuSeqlens: cuSeqlens, finalStateGradient: stateGradient)
        return Gradients(
            q: gradients.q.converted(to: q.dataType), k: gradients.k.converted(to: q.dataType),
            v: gradients.v.converted(to: q.dataType), logG: gradients.logG,
            initialState: gradients.initialState.map { StateGradient(S: $0.S, z: $0.z) })
    }

    /// The tensors of one call. Keys and values that a state still holds are folded first.
    private func inputs(
        _ q: Tensor, _ k: Tensor, _ v: Tensor, _ logG: Tensor?, _ cuSeqlens: [Int]?, _ initialState: RecurrentState?
    ) throws(PowerAttentionError) -> AttentionInputs {
        var inputs = AttentionInputs(q: q, k: k, v: v, logG: logG)
        guard var initialState else { return inputs }
        try initialState.check(configuration)
        try initialState.buffer.check(problem(inputs, cuSeqlens: cuSeqlens, finalState: true))
        try fold(&initialState)
        inputs.initialState =
            initialState.expanded
            ?? ExpandedState(
                zeros: initialState.sequences, keyHeads: initialState.keyHeads,
                dimension: initialState.expansion.dimension, valueWidth: initialState.valueWidth)
        return inputs
    }
}
