import BackendInterface
package import Tensors

/// A normalization of every token's vector, with trained weights.
package protocol Norm {
    func forward(_ x: Tensor) throws(PowerAttentionError) -> (Tensor, NormContext)
    /// Adds the parameters' gradients, and writes the input's or, accumulating, adds it.
    func backward(
        _ context: NormContext, gradient: Tensor, into inputGradient: inout Tensor, accumulate: Bool
    ) throws(PowerAttentionError)
}

/// What a normalization's backward pass needs.
package struct NormContext {
    let x, statistics: Tensor
}

extension ModelConfiguration.Normalization {
    func layer(
        _ name: String, width: Int, _ source: ParameterSource, _ kernels: any LayerKernels
    ) throws(PowerAttentionError) -> any Norm {
        switch self {
        case .layerNorm: try LayerNorm(name, width: width, source, kernels)
        case .rmsNorm: try RMSNorm(name, width: width, source, kernels)
        }
    }
}
