package import BackendInterface
package import Tensors

/// Two projections with an activation between them: `y = gelu(x·W₁ᵀ)·W₂ᵀ`, or `y = (silu(x·Gᵀ) · x·Vᵀ)·W₂ᵀ` with `W₁ = [G; V]`.
package struct MLP {
    let activation: ModelConfiguration.Activation
    let input, output: Linear
    let kernels: any LayerKernels

    /// What the backward pass needs: the input, and the hidden units before and after the activation.
    package struct Context {
        let x, hidden, activated: Tensor
    }

    package init(
        _ name: String, _ model: ModelConfiguration, _ source: ParameterSource, _ kernels: any LayerKernels
    ) throws(PowerAttentionError) {
        activation = model.mlp
        let outputs = activation == .swiglu ? 2 * model.hiddenWidth : model.hiddenWidth
        input = try Linear("\(name).input", inputs: model.width, outputs: outputs, bias: model.biases, source, kernels)
        output = try Linear(
            "\(name).output", inputs: model.hiddenWidth, outputs: model.width,
            deviation: Linear.residualDeviation(layers: model.layers), bias: model.biases, source, kernels)
        self.kernels = kernels
    }

    /// Adds the output to the residual stream.
    package func forward(_ x: Tensor, addingTo residual: inout Tensor) throws(PowerAttentionError) -> Context {
        let hidden, activated: Tensor
        if activation == .gelu, input.bias == nil {
            (hidden, activated) = try kernels.multiplyGELU(x, weight: input.weight.operand)
        } else {
            hidden = try input.forward(x)
            activated = activation == .swiglu ? try kernels.swiglu(hidden) : try kernels.gelu(hidden)
        }
        try output.forward(activated, addingTo: &residual)
        return Context(x: x, hidden: hidden, activated: activated)
    }

    /// The gradient with respect to the input.
    package func backward(_ context: Context, gradient: Tensor) throws(PowerAttentionError) -> Tensor {
        var hiddenGradient: Tensor
        switch activation {
        case .gelu:
            hiddenGradient = try kernels.multiplyGELUBackward(
                gradient, weight: output.weight.operand, hidden: context.hidden)
            try output.addParameterGradients(context.activated, gradient: gradient)
        case .swiglu:
            hiddenGradient = try kernels.uninitialized(context.activated.shape, context.activated.dataType)
            try output.backward(context.activated, gradient: gradient, into: &hiddenGradient, accumulate: false)
            hiddenGradient = try kernels.swigluBackward(context.hidden, gradient: hiddenGradient)
        }
        var inputGradient = try kernels.uninitialized(context.x.shape, context.x.dataType)
        try input.backward(context.x, gradient: hiddenGradient, into: &inputGradient, accumulate: false)
        return inputGradient
    }
}
