package import Tensors

/// What a backend of the attention operator implements. Problems arrive validated: a backend checks nothing again.
package protocol AttentionBackend: Sendable {
    /// `y`, and the state after the last token of every sequence where `finalState` asks for it.
    func forward(_ problem: AttentionProblem, _ inputs: AttentionInputs, finalState: Bool) throws(PowerAttentionError)
        -> AttentionResult

    /// The gradients of a scalar whose derivatives with respect to `y` and to the final state are given. The initial state's
    /// gradient comes back where the inputs have an initial state; gradients of states have the exponents of the states.
    func backward(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, context: AttentionContext, outputGradient: Tensor,
        finalStateGradient: ExpandedState?
    ) throws(PowerAttentionError) -> AttentionGradients
}
