package import BackendInterface
package import Tensors

/// `y = x·Wᵀ + b` with `W [outputs, inputs]` and, where the model has biases, `b [outputs]`.
package struct Linear {
    let weight: Parameter
    let bias: Parameter?
    let kernels: any LayerKernels

    package init(
        _ name: String, inputs: Int, outputs: Int, deviation: Double = Linear.deviation, bias: Bool, _ source: ParameterSource,
        _ kernels: any LayerKernels
    ) throws(PowerAttentionError) {
        weight = try source.make("\(name).weight", [outputs, inputs], .normal(deviation: deviation), decays: true)
        weight.startsWithProduct = true
        self.bias = bias ? try source.make("\(name).bias", [outputs], .constant(0), decays: false) : nil
        self.kernels = kernels
    }

    /// The standard deviation of every matrix at the start, as in GPT-2.
    static let deviation = 0.02

    /// That of projections onto the residual stream, which sums up two of them a block.
    static func residualDeviation(layers: Int) -> Double { deviation / Double(2 * layers).squareRoot() }

    package func forward(_ x: Tensor) throws(PowerAttentionError) -> Tensor {
        var y = try kernels.uninitialized([x.shape[0], weight.value.shape[0]], x.dataType)
        try kernels.multiply(x, transposeA: false, weight.operand, transposeB: true, into: &y, accumulate: false)
        if let bias { try kernels.addBias(&y, bias: bias.value) }
        return y
    }

    /// Adds the output to the residual stream. On a device the product does: the stream is read and written once, and rounded once.
    func forward(_ x: Tensor, addingTo residual: inout Tensor) throws(PowerAttentionError) {
        try kernels.multiply(x, transposeA: false, weight.operand, transposeB: true, into: &residual, accumulate: true)
        if let bias { try kernels.addBias(&residual, bias: bias.value) }
    }

    /// Adds the parameters' gradients, and writes the input's or, accumulating, adds it.
    package func backward(
        _ x: Tensor, gradient: Tensor, into inputGradient: inout Tensor, accumulate: Bool
    ) throws(PowerAttentionError) {
        try kernels.multiply(
            gradient, transposeA: false, weight.operand, transposeB: false, into: &inputGradient, accumulate: accumulate)
        try addParameterGradients(x, gradient: gradient)
    }

    /// Adds the parameters' gradients.
    func addParameterGradients(_ x: Tensor, gradient: Tensor) throws(PowerAttentionError) {
        try weight.addProduct(gradient, x, by: kernels)
        if let bias { try kernels.addBiasBackward(gradient: gradient, from: 0, biasGradient: &bias.gradientSum) }
    }
}
