package import BackendInterface
package import Tensors

/// A vector for every token: row `token` of `W [vocabulary, width]`.
package struct Embedding {
    let weight: Parameter
    let kernels: any LayerKernels

    package init(
        _ name: String, vocabulary: Int, width: Int, _ source: ParameterSource, _ kernels: any LayerKernels
    ) throws(PowerAttentionError) {
        weight = try source.make("\(name).weight", [vocabulary, width], .normal(deviation: Linear.deviation), decays: true)
        self.kernels = kernels
    }

    package func forward(_ tokens: Tensor) throws(PowerAttentionError) -> Tensor {
        try kernels.embed(tokens, table: weight.operand)
    }

    package func backward(_ tokens: Tensor, gradient: Tensor) throws(PowerAttentionError) {
        try kernels.embedBackward(tokens, gradient: gradient, tableGradient: &weight.gradientSum)
    }
}
