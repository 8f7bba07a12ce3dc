package import BackendInterface
package import PowerAttention
package import Tensors

/// Two residual branches, each behind its own normalization: `x += mixer(norm(x))`, then `x += mlp(norm(x))`.
package struct Block {
    let mixerNorm, mlpNorm: any Norm
    let mixer: SequenceMixer
    let mlp: MLP
    let kernels: any LayerKernels

    package struct Context {
        let mixerNorm, mlpNorm: NormContext
        let mixer: SequenceMixer.Context
        let mlp: MLP.Context

        /// The residual stream at the beginning of the block, all branches before it added.
        var input: Tensor { mixerNorm.x }
    }

    package init(
        _ name: String, _ model: ModelConfiguration, _ source: ParameterSource, _ kernels: any LayerKernels,
        device: Device = .cpu
    ) throws(PowerAttentionError) {
        mixerNorm = try model.norm.layer("\(name).mixer_norm", width: model.width, source, kernels)
        mixer = try SequenceMixer("\(name).mixer", model, source, kernels, device: device)
        mlpNorm = try model.norm.layer("\(name).mlp_norm", width: model.width, source, kernels)
        mlp = try MLP("\(name).mlp", model, source, kernels)
        self.kernels = kernels
    }

    /// Adds the branch of the block before to the residual stream, then the mixer's; the MLP's is left to the norm that comes next, which
    /// adds and normalizes in one go.
    package func forward(
        _ x: inout Tensor, adding branch: inout Tensor?, _ layout: SequenceLayout
    ) throws(PowerAttentionError) -> Context {
        let (mixerInput, mixerNormContext) = try mixerNorm.forward(&x, adding: &branch)
        let mixerContext: SequenceMixer.Context
        (branch, mixerContext) = try mixer.forward(mixerInput, layout)
        let (mlpInput, mlpNormContext) = try mlpNorm.forward(&x, adding: &branch)
        let mlpContext: MLP.Context
        (branch, mlpContext) = try mlp.forward(mlpInput)
        return Context(mixerNorm: mixerNormContext, mlpNorm: mlpNormContext, mixer: mixerContext, mlp: mlpContext)
    }

    /// The forward pass once more, for what the backward pass needs of it.
    func forward(_ input: Tensor, _ layout: SequenceLayout) throws(PowerAttentionError) -> Context {
        var x = input
        var none: Tensor?
        return try forward(&x, adding: &none, layout)
    }

    /// The output for tokens that follow those of a state.
    func advance(
        _ x: Tensor, _ layout: SequenceLayout, _ state: inout DecodingState
    ) throws(PowerAttentionError) -> Tensor {
        var mixed = try mixer.advance(mixerNorm.forward(x).0, layout, &state)
        try kernels.add(&mixed, x)
        var y = try mlp.forward(mlpNorm.forward(mixed).0).0
        try kernels.add(&y, mixed)
        return y
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
