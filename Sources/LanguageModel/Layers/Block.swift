package import BackendInterface
import PowerAttention
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
    }

    package init(
        _ name: String, _ model: ModelConfiguration, _ source: ParameterSource, _ kernels: any LayerKernels
    ) throws(PowerAttentionError) {
        mixerNorm = try model.norm.layer("\(name).mixer_norm", width: model.width, source, kernels)
        mixer = try SequenceMixer("\(name).mixer", model, source, kernels)
        mlpNorm = try model.norm.layer("\(name).mlp_norm", width: model.width, source, kernels)
        mlp = try MLP("\(name).mlp", model, source, kernels)
        self.kernels = kernels
    }

    package func forward(_ x: Tensor, _ layout: SequenceLayout) throws(PowerAttentionError) -> (Tensor, Context) {
        let (mixerInput, mixerNormContext) = mixerNorm.forward(x)
        var (mixed, mixerContext) = try mixer.forward(mixerInput, layout)
        kernels.add(&mixed, x)
        let (mlpInput, mlpNormContext) = mlpNorm.forward(mixed)
        var (y, mlpContext) = mlp.forward(mlpInput)
        kernels.add(&y, mixed)
        return (
            y, Context(mixerNorm: mixerNormContext, mlpNorm: mlpNormContext, mixer: mixerContext, mlp: mlpContext)
        )
    }

    /// The output for tokens that follow those of a state.
    func advance(
        _ x: Tensor, _ layout: SequenceLayout, _ state: inout DecodingState
    ) throws(PowerAttentionError) -> Tensor {
        var mixed = try mixer.advance(mixerNorm.forward(x).0, layout, &state)
        kernels.add(&mixed, x)
        var y = mlp.forward(mlpNorm.forward(mixed).0).0
        kernels.add(&y, mixed)
        return y
    }

    /// Turns the gradient of the output into that of the input, in place.
    package func backward(
        _ context: Context, _ layout: SequenceLayout, gradient: inout Tensor
    ) throws(PowerAttentionError) {
        let mlpGradient = mlp.backward(context.mlp, gradient: gradient)
        mlpNorm.backward(context.mlpNorm, gradient: mlpGradient, into: &gradient, accumulate: true)
        let mixerGradient = try mixer.backward(context.mixer, layout, gradient: gradient)
        mixerNorm.backward(context.mixerNorm, gradient: mixerGradient, into: &gradient, accumulate: true)
    }
}
