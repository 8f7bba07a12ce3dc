public import BackendInterface
public import Tensors

/// Power attention, and exponential and linear attention beside it: one function, forward and backward, in every form.
///
/// On `q [b, t, hq, d]`, `k [b, t, h, d]`, `v [b, t, h, e]` and optionally `log_g [b, t, h]`, with `G` the cumulative sum of
/// `log_g` along t (paper, section 2):
///
///     a_ij = (scale · q_i·k_j)^p · exp(G_i − G_j)   for j ≤ i, else 0
///     y_i  = Σ_j a_ij v_j / Σ_j a_ij                normalization: sum
///     y_i  = Σ_j a_ij v_j                           normalization: none
///
/// ```swift
/// let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
/// let y = try attention.forward(q: q, k: k, v: v)
/// ```
///
/// A value that holds no tensors: one operator serves any number of calls and threads.
public struct AttentionOperator: Sendable {
    public let configuration: AttentionConfiguration
    public let device: Device

    /// - Throws: `PowerAttentionError` where `AttentionConfiguration.validate()` does.
    public init(_ configuration: AttentionConfiguration, device: Device = .cpu) throws(PowerAttentionError) {
        try configuration.validate()
        self.configuration = configuration
        self.device = device
    }

    /// `y` in the accumulation type (float32, or float64 from the reference) with what the backward pass needs, and the state
    /// after the last token of every sequence where `finalState` asks for it.
    ///
    /// - Parameter cuSeqlens: the offsets of the sequences of a packed batch, from 0 to t.
    package func forward(
        _ inputs: AttentionInputs, cuSeqlens: [Int]? = nil, finalState: Bool = false
    ) throws(PowerAttentionError) -> AttentionResult {
        let problem = try problem(inputs, cuSeqlens: cuSeqlens, finalState: finalState)
        return try device.backend(for: inputs.q.dataType).forward(problem, inputs, finalState: finalState)
    }

    /// The gradients of a scalar L, given `∂L/∂y` (`[b, t, hq, e]`, in the inputs' or the accumulation type) and, where a final
    /// state was asked for, its gradient. Gradients of states are with respect to the stored numbers `S`, `z`, the exponents
    /// held; they carry the exponents of the state that they belong to.
    package func backward(
        _ inputs: AttentionInputs, context: AttentionContext, outputGradient: Tensor, cuSeqlens: [Int]? = nil,
        finalStateGradient: ExpandedState? = nil
    ) throws(PowerAttentionError) -> AttentionGradients {
        let problem = try problem(inputs, cuSeqlens: cuSeqlens, finalState: finalStateGradient != nil)
        let shape = problem.outputShape(inputs.q.shape)
        try checkShape(outputGradient, "dy", shape)
        try checkType(outputGradient, "dy", [inputs.q.dataType, context.output.dataType])
        try checkShape(context.output, "context", shape)
        if let finalStateGradient { try check(finalStateGradient, "final state gradient", problem, besides: inputs.q.dataType) }
        return try device.backend(for: inputs.q.dataType).backward(
            problem, inputs, context: context, outputGradient: outputGradient, finalStateGradient: finalStateGradient)
    }
}
