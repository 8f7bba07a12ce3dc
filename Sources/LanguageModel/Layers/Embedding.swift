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

    package func forward(_ tokens: [Int32]) -> Tensor { kernels.embed(tokens, table: weight.value) }

    package func backward(_ tokens: [Int32], gradient: Tensor) {
        kernels.embedBackward(tokens, gradient: gradient, tableGradient: &weight.gradient)
    }
}
