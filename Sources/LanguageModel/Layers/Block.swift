package import BackendInterface
package import PowerAttention
package import Tensors

/// Two residual branches, each behind its own normalization: `x += mixer(norm(x))`, then `x += mlp(norm(x))`.
package struct Block {
    let mixerNorm, mlpNorm: any Norm
    let mixer: SequenceMixer
    let mlp: MLP

    package struct Context {
        let mixerNorm, mlpNorm: NormContext
        let mixer: SequenceMixer.Context
        let mlp: MLP.Context

        /// The residual stream at the beginning of the block, and between the branches.
        var input: Tensor { mixerNorm.x }
        var middle: Tensor { mlpNorm.x }
    }

    package init(
        _ name: String, _ model: ModelConfiguration, _ source: ParameterSource, _ kernels: any LayerKernels,
        device: Device = .cpu
    ) throws(PowerAttentionError) {
        mixerNorm = try model.norm.layer("\(name).mixer_norm", width: model.width, source, kernels)
        mixer = try SequenceMixer("\(name).mixer", model, source, kernels, device: device)
        mlpNorm = try model.norm.layer("\(name).mlp_norm", width: model.width, source, kernels)
        mlp = try MLP("\(name).mlp", model, source, kernels)
    }

    /// Adds the branches to the residual stream.
    package func forward(_ x: inout Tensor, _ layout: SequenceLayout) throws(PowerAttentionError) -> Context {
        let (mixerInput, mixerNormContext) = try mixerNorm.forward(x)
        let mixerContext = try mixer.forward(mixerInput, layout, addingTo: &x)
        let (mlpInput, mlpNormContext) = try mlpNorm.forward(x)
        let mlpContext = try mlp.forward(mlpInput, addingTo: &x)
        return Context(mixerNorm: mixerNormContext, mlpNorm: mlpNormContext, mixer: mixerContext, mlp: mlpContext)
    }

    /// The same for tokens that follow those of a state.
    func advance(
        _ x: inout Tensor, _ layout: SequenceLayout, _ state: inout DecodingState
    ) throws(PowerAttentionError) {
        try mixer.advance(mixerNorm.forward(x).0, layout, &state, addingTo: &x)
        _ = try mlp.forward(mlpNorm.forward(x).0, addingTo: &x)
    }

    /// Turns the gradient of the output into that of the input, in place.
    package func backward(
        _ context: Context, _ layout: SequenceLayout, gradient: inout Tensor
    ) throws(PowerAttentionError) {
        let mlpGradient = try mlp.backward(context.mlp, gradient: gradient)
        try mlpNorm.backward(context.mlpNorm, gradient: mlpGradient, into: &gradient, accumulate: true)
        let mixerGradient = try mixer.backward(context.mixer, layout, gradient: gradient)
        try mixerNorm.backward(context.mixerNorm, gradient: mixerGradient, into: &gradient, accumulate: true)
    }
}
