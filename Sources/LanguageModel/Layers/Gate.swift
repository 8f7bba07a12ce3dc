package import BackendInterface
package import Tensors

/// The logarithm of the share of the past that every key head keeps at every token: `log_g = logsigmoid(x·Wᵀ + b)`.
package struct Gate {
    let weight, bias: Parameter
    let kernels: any LayerKernels

    /// The bias at the start; with a weight of zero every gate is sigmoid(b) = 0.999.
    static let initialBias = 6.906768

    /// What the backward pass needs: the input, and `x·Wᵀ`.
    package struct Context {
        let x, projection: Tensor
    }

    package init(
        _ name: String, width: Int, heads: Int, _ source: ParameterSource, _ kernels: any LayerKernels
    ) throws(PowerAttentionError) {
        weight = try source.make("\(name).weight", [heads, width], .constant(0), decays: true)
        bias = try source.make("\(name).bias", [heads], .constant(Self.initialBias), decays: false)
        self.kernels = kernels
    }

    package func forward(_ x: Tensor) throws(PowerAttentionError) -> (Tensor, Context) {
        // Logarithms of gates add up over thousands of tokens: they have the parameters' type, and so has the projection.
        let (logarithms, projection) = try kernels.projectGates(x, weight: weight.operand, bias: bias.value)
        return (logarithms, Context(x: x, projection: projection))
    }

    /// Adds the parameters' gradients and the input's. The gradient of the logarithms is used up.
    package func backward(
        _ context: Context, gradient: consuming Tensor, addingTo inputGradient: inout Tensor
    ) throws(PowerAttentionError) {
        try kernels.logSigmoidBackward(
            context.projection, bias: bias.value, gradient: &gradient, biasGradient: &bias.gradientSum)
        try kernels.multiply(
            gradient, transposeA: false, weight.operand, transposeB: false, into: &inputGradient, accumulate: true)
        try kernels.multiply(
            gradient, transposeA: true, context.x, transposeB: false, into: &weight.gradientSum, accumulate: true)
    }

    /// Writes the gradient of `x·Wᵀ` to columns of `target`, zeros behind it, and adds the bias's.
    func backwardToProjection(
        _ context: Context, gradient: Tensor, into target: inout Tensor, _ columns: Range<Int>
    ) throws(PowerAttentionError) {
        try kernels.logSigmoidBackward(
            context.projection, bias: bias.value, gradient: gradient, into: &target, columns, biasGradient: &bias.gradientSum)
    }
}
