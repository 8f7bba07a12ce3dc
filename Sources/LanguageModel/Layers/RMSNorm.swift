package import BackendInterface
package import Tensors

/// `y = x / √(mean of squares + 10⁻⁵) · w` over every row (Zhang, Sennrich 2019).
package struct RMSNorm: Norm {
    let weight: Parameter
    let kernels: any LayerKernels

    package init(
        _ name: String, width: Int, _ source: ParameterSource, _ kernels: any LayerKernels
    ) throws(PowerAttentionError) {
        weight = try source.make("\(name).weight", [width], .constant(1), decays: false)
        self.kernels = kernels
    }

    package func forward(_ x: Tensor) throws(PowerAttentionError) -> (Tensor, NormContext) {
        let (y, statistics) = try kernels.rmsNorm(x, weight: weight.value)
        return (y, NormContext(x: x, statistics: statistics))
    }

    package func backward(
        _ context: NormContext, gradient: Tensor, into inputGradient: inout Tensor, accumulate: Bool
    ) throws(PowerAttentionError) {
        try kernels.rmsNormBackward(
            context.x, weight: weight.value, statistics: context.statistics, gradient: gradient, into: &inputGradient,
            accumulate: accumulate, weightGradient: &weight.gradientSum)
    }
}
