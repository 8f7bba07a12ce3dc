package import BackendInterface
package import Tensors

/// `y = (x − mean) / √(variance + 10⁻⁵) · w + b` over every row (Ba, Kiros, Hinton 2016).
package struct LayerNorm: Norm {
    let weight, bias: Parameter
    let kernels: any LayerKernels

    package init(
        _ name: String, width: Int, _ source: ParameterSource, _ kernels: any LayerKernels
    ) throws(PowerAttentionError) {
        weight = try source.make("\(name).weight", [width], .constant(1), decays: false)
        bias = try source.make("\(name).bias", [width], .constant(0), decays: false)
        self.kernels = kernels
    }

    package func forward(_ x: Tensor) throws(PowerAttentionError) -> (Tensor, NormContext) {
        let (y, statistics) = try kernels.layerNorm(x, weight: weight.value, bias: bias.value)
        return (y, NormContext(x: x, statistics: statistics))
    }

    package func backward(
        _ context: NormContext, gradient: Tensor, into inputGradient: inout Tensor, accumulate: Bool
    ) throws(PowerAttentionError) {
        try kernels.layerNormBackward(
            context.x, weight: weight.value, statistics: context.statistics, gradient: gradient, into: &inputGradient,
            accumulate: accumulate, weightGradient: &weight.gradientSum, biasGradient: &bias.gradientSum)
    }
}
