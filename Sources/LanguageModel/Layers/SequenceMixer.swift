package import BackendInterface
package import PowerAttention
package import Tensors

/// The layer that mixes tokens: projections to queries, keys, values and gates, rotary positions, the operator, and a projection
/// back. Grouped queries: query head `i` reads key head `i / (heads / keyHeads)`.
package struct SequenceMixer {
    let query, key, value, output: Linear
    let gate: Gate?
    /// The weights of queries, keys, values and gates on a device.
    let stack: ParameterStack?
    let attention: AttentionOperator
    /// The same operator where it advances a state: it chooses its form by the state, whatever form training has.
    let decoding: AttentionOperator
    let kernels: any LayerKernels
    let heads, keyHeads, headWidth: Int

    /// What the backward pass needs: the input, the operator's inputs and what it left behind, and the mixed values.
    package struct Context {
        let x: Tensor
        let inputs: AttentionInputs
        let attention: AttentionContext
        let gate: Gate.Context?
    }

    package init(
        _ name: String, _ model: ModelConfiguration, _ source: ParameterSource, _ kernels: any LayerKernels,
        device: Device = .cpu
    ) throws(PowerAttentionError) {
        heads = model.heads
        keyHeads = model.keyHeads
        headWidth = model.keyWidth
        func projection(_ part: String, _ heads: Int) throws(PowerAttentionError) -> Linear {
            try Linear(
                "\(name).\(part)", inputs: model.width, outputs: heads * model.keyWidth, bias: model.biases, source, kernels)
        }
        query = try projection("query", heads)
        key = try projection("key", keyHeads)
        value = try projection("value", keyHeads)
        gate = model.gated ? try Gate("\(name).gate", width: model.width, heads: keyHeads, source, kernels) : nil
        let weights = [query.weight, key.weight, value.weight] + (gate.map { [$0.weight] } ?? [])
        stack = kernels.activationType == nil ? nil : try ParameterStack(weights, by: kernels)
        output = try Linear(
            "\(name).output", inputs: heads * headWidth, outputs: model.width,
            deviation: Linear.residualDeviation(layers: model.layers), bias: model.biases, source, kernels)
        attention = try AttentionOperator(model.attention, device: device)
        var automatic = model.attention
        automatic.form = .automatic
        decoding = try AttentionOperator(automatic, device: device)
        self.kernels = kernels
    }

    /// The operator's inputs for `x [batch · length, width]`.
    func inputs(
        _ x: Tensor, _ layout: SequenceLayout
    ) throws(PowerAttentionError) -> (AttentionInputs, Gate.Context?) {
        let gates = try gate?.forward(x)
        let projected = try project(x, layout.positions)
        let (batch, length) = (layout.batch, layout.length)
        var inputs = AttentionInputs(
            q: projected.q.reshaped([batch, length, heads, headWidth]),
            k: projected.k.reshaped([batch, length, keyHeads, headWidth]),
            v: projected.v.reshaped([batch, length, keyHeads, headWidth]),
            logG: gates?.0.reshaped([batch, length, keyHeads]))
        inputs.magnitudes = projected.magnitudes
        return (inputs, gates?.1)
    }

    private func project(_ x: Tensor, _ positions: RotaryPositions) throws(PowerAttentionError) -> ProjectedHeads {
        if let stack, query.bias == nil, stack.rows[2].lowerBound == (heads + keyHeads) * headWidth,
            let projected = try kernels.projectHeads(
                x, weight: stack.operand, heads: heads, keyHeads: keyHeads, cosines: positions.cosines,
                sines: positions.sines)
        {
            return projected
        }
        // Each is turned while the second-level cache has the end of it.
        var q = try query.forward(x)
        let queries = try kernels.rotateMeasuring(&q, cosines: positions.cosines, sines: positions.sines)
        var k = try key.forward(x)
        let keys = try kernels.rotateMeasuring(&k, cosines: positions.cosines, sines: positions.sines)
        var magnitudes: RowMagnitudes?
        if let queries, let keys { magnitudes = RowMagnitudes(queries: queries, keys: keys) }
        return ProjectedHeads(q: q, k: k, v: try value.forward(x), magnitudes: magnitudes)
    }

    /// Adds the output to the residual stream.
    package func forward(
        _ x: Tensor, _ layout: SequenceLayout, addingTo residual: inout Tensor
    ) throws(PowerAttentionError) -> Context {
        let (inputs, gateContext) = try inputs(x, layout)
        let context = try attention.forward(inputs).context
        try output.forward(rows(context.output), addingTo: &residual)
        return Context(x: x, inputs: inputs, attention: context, gate: gateContext)
    }

    /// Mixes tokens with those before them, whose state goes on, and adds the output to the residual stream.
    func advance(
        _ x: Tensor, _ layout: SequenceLayout, _ state: inout DecodingState, addingTo residual: inout Tensor
    ) throws(PowerAttentionError) {
        let inputs = try inputs(x, layout).0
        if case .keyValues = state, inputs.q.isOnDevice {
            // Keys and values are kept, and attended to, in host memory.
            let y = try decoding.advance(
                &state, q: inputs.q.onHost(), k: inputs.k.onHost(), v: inputs.v.onHost(), logG: inputs.logG?.onHost())
            return try output.forward(rows(kernels.place(y)), addingTo: &residual)
        }
        let y = try decoding.advance(&state, q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
        try output.forward(rows(y), addingTo: &residual)
    }

    /// The gradient with respect to the input.
    package func backward(
        _ context: Context, _ layout: SequenceLayout, gradient: Tensor
    ) throws(PowerAttentionError) -> Tensor {
        let mixed = context.attention.output
        var mixedGradient = try kernels.uninitialized([layout.rows, heads * headWidth], gradient.dataType)
        try output.backward(rows(mixed), gradient: gradient, into: &mixedGradient, accumulate: false)
        let outputGradient = mixedGradient.reshaped(mixed.shape)
        if let stack {
            let joined = try joinedGradients(context, layout, stack, outputGradient: outputGradient)
            var inputGradient = try kernels.uninitialized(context.x.shape, gradient.dataType)
            try kernels.multiply(
                joined, transposeA: false, stack.operand, transposeB: false, into: &inputGradient, accumulate: false)
            try stack.addProduct(joined, context.x, by: kernels)
            return inputGradient
        }
        var gradients = try attention.backward(
            context.inputs, context: context.attention, outputGradient: outputGradient)
        gradients.q = rows(gradients.q)
        gradients.k = rows(gradients.k)
        gradients.v = rows(gradients.v)
        var logG: Tensor?
        swap(&logG, &gradients.logG)
        logG = logG.map { rows($0, width: 1) }

        var inputGradient = try kernels.uninitialized(context.x.shape, gradient.dataType)
        let positions = layout.positions
        try kernels.rotate(&gradients.q, cosines: positions.cosines, sines: positions.sines, inverse: true)
        try kernels.rotate(&gradients.k, cosines: positions.cosines, sines: positions.sines, inverse: true)
        try query.backward(context.x, gradient: gradients.q, into: &inputGradient, accumulate: false)
        try key.backward(context.x, gradient: gradients.k, into: &inputGradient, accumulate: true)
        try value.backward(context.x, gradient: gradients.v, into: &inputGradient, accumulate: true)
        if let gate, let gateContext = context.gate, let logG {
            try gate.backward(gateContext, gradient: logG, addingTo: &inputGradient)
        }
        return inputGradient
    }

    /// The gradients of all projections of a token in one row, in the order of the stacked weights; adds those of biases.
    private func joinedGradients(
        _ context: Context, _ layout: SequenceLayout, _ stack: ParameterStack, outputGradient: Tensor
    ) throws(PowerAttentionError) -> Tensor {
        var joined = try kernels.uninitialized([layout.rows, stack.operand.shape[0]], outputGradient.dataType)
        let (queries, keys, values) = (stack.rows[0], stack.rows[1], stack.rows[2])
        let positions = layout.positions
        let gradients: AttentionGradients
        do {
            // The operator's go there at once where nothing has to stand behind them.
            var inputs = context.inputs
            if values.count == keyHeads * headWidth { inputs.valueGradient = RowColumns(joined, from: values.lowerBound) }
            if queries.count == heads * headWidth, keys.count == keyHeads * headWidth {
                inputs.turnedGradients = TurnedGradients(
                    queries: RowColumns(joined, from: queries.lowerBound), keys: RowColumns(joined, from: keys.lowerBound),
                    cosines: positions.cosines, sines: positions.sines)
            }
            gradients = try attention.backward(inputs, context: context.attention, outputGradient: outputGradient)
        }
        for (part, columns) in [(gradients.q, queries), (gradients.k, keys)] where part.count > 0 {
            try kernels.rotate(
                rows(part), into: &joined, columns, cosines: positions.cosines, sines: positions.sines, inverse: true)
        }
        if gradients.v.count > 0 { try kernels.setColumns(&joined, values, to: rows(gradients.v)) }
        if let gate, let gateContext = context.gate, let logG = gradients.logG {
            try gate.backwardToProjection(
                gateContext, gradient: rows(logG, width: 1), into: &joined, stack.rows[3])
        }
        for (projection, columns) in zip([query, key, value], stack.rows) {
            guard let bias = projection.bias else { continue }
            try kernels.addBiasBackward(gradient: joined, from: columns.lowerBound, biasGradient: &bias.gradientSum)
        }
        return joined
    }

    /// `[b, t, heads, width]` as one row a token.
    private func rows(_ x: Tensor) -> Tensor { x.reshaped([x.shape[0] * x.shape[1], x.shape[2] * x.shape[3]]) }

    /// `[b, t, heads]` as one row a token.
    private func rows(_ x: Tensor, width: Int) -> Tensor { x.reshaped([x.shape[0] * x.shape[1], x.shape[2] * width]) }
}
