import BackendInterface
public import Tensors

extension LanguageModel {
    /// `−log p(target)` in nats for every token, `[batch, length]`: the model's loss at every position of its context.
    ///
    /// - Parameters:
    ///   - tokens: `batch · length` of them, sequence after sequence.
    ///   - targets: the token that comes next after each; a negative one is not scored and has loss 0.
    /// - Throws: `PowerAttentionError` where a count does not fit or a token is not in the vocabulary.
    public func losses(
        _ tokens: [Int32], targets: [Int32], batch: Int, length: Int
    ) throws(PowerAttentionError) -> Tensor {
        try check(tokens, targets: targets, batch: batch, length: length)
        let layout = try layout(batch: batch, length: length)
        let (tokens, targets) = (try place(tokens), try place(targets))
        var x = try embedding.forward(tokens)
        for block in blocks { _ = try block.forward(&x, layout) }
        let normalized = try norm.forward(x).0
        return try head.losses(normalized, targets: targets).onHost().reshaped([batch, length])
    }

    /// The mean loss of the scored targets, in nats; adds the gradient of `scale` times it to every parameter.
    ///
    /// To accumulate over `n` micro-batches with equally many scored targets, call ``zeroGradients()`` once and this with
    /// `scale: 1 / n` on each.
    ///
    /// - Parameters:
    ///   - tokens: `batch · length` of them, sequence after sequence.
    ///   - targets: the token that comes next after each; a negative one is not scored. Without any scored target the loss is 0.
    /// - Throws: `PowerAttentionError` where a count does not fit or a token is not in the vocabulary.
    public func accumulateGradients(
        _ tokens: [Int32], targets: [Int32], batch: Int, length: Int, scale: Double = 1
    ) throws(PowerAttentionError) -> Double {
        try check(tokens, targets: targets, batch: batch, length: length)
        let scored = targets.count { $0 >= 0 }
        guard scored > 0 else { return 0 }
        let losses = try accumulateGradients(
            place(tokens), targets: place(targets), layout(batch: batch, length: length), scale: scale / Double(scored))
        let sum = try losses.onHost().converted(to: .float64).withElements(of: Double.self) { $0.reduce(0, +) }
        return sum / Double(scored)
    }

    /// The losses of all targets; adds the gradient of `scale` times their sum to every parameter. On a device the work is under way when
    /// this returns, and the host has waited for nothing.
    ///
    /// - Parameters:
    ///   - tokens: int32, where the model's kernels compute, every one in the vocabulary.
    ///   - targets: as many, or a negative number for a token that is not scored.
    package func accumulateGradients(
        _ tokens: Tensor, targets: Tensor, _ layout: SequenceLayout, scale: Double
    ) throws(PowerAttentionError) -> Tensor {
        for parameter in parameters { try parameter.makeGradient(by: kernels) }
        var x = try embedding.forward(tokens)
        var passes: [BlockPass] = []
        for block in blocks {
            let context = try block.forward(&x, layout)
            passes.append(recomputesBlocks ? .input(context.input) : .context(context))
        }
        let (normalized, normContext) = try norm.forward(x)
        let (losses, headGradient) = try head.backward(normalized, targets: targets, gradientScale: scale)
        var gradient = try kernels.uninitialized(x.shape, x.dataType)
        try norm.backward(normContext, gradient: headGradient, into: &gradient, accumulate: false)
        for block in blocks.reversed() {
            let context =
                switch passes.removeLast() {
                case .context(let context): context
                case .input(var input): try block.forward(&input, layout)
                }
            try block.backward(context, layout, gradient: &gradient)
        }
        try embedding.backward(tokens, gradient: gradient)
        return losses
    }

    /// What is kept of a block's forward pass: all that its backward pass needs, or the input, from which it is computed again.
    private enum BlockPass {
        case context(Block.Context)
        case input(Tensor)
    }

    /// What is not finite first, in words: the input of a norm, so that numbers went out of range in what is before it in the model, or, where
    /// all inputs are finite, the gradient of the parameter that comes first on the way back. `nil` where gradients are finite, too. Slow, and
    /// for the host.
    package func firstFault(_ tokens: [Int32], batch: Int, length: Int) throws(PowerAttentionError) -> String? {
        let layout = try layout(batch: batch, length: length)
        var x = try embedding.forward(place(tokens))
        for (index, block) in blocks.enumerated() {
            if !x.isFinite { return "the input of blocks.\(index).mixer_norm" }
            let middle: Tensor
            do throws(PowerAttentionError) {
                middle = try block.forward(&x, layout).middle
            } catch  where error.code == .invalidArgument {
                return "the output of blocks.\(index).mixer.gate"
            }
            if !middle.isFinite { return "the input of blocks.\(index).mlp_norm" }
        }
        if !x.isFinite { return "the input of norm" }
        return parameters.last { !$0.gradient.isFinite }.map { "the gradient of \($0.name)" }
    }

    /// Sets the gradients of all parameters to zero.
    public func zeroGradients() throws(PowerAttentionError) {
        for parameter in parameters { try parameter.zeroGradient(by: kernels) }
    }

    /// Lets the next gradients take the place of those that are there, of parameters that start with a product
    /// (``Parameter/startsWithProduct``): those need not be zeros before.
    package func overwriteGradients() {
        for parameter in parameters { parameter.overwriteGradient() }
    }

    /// Tokens where the kernels compute.
    package func place(_ tokens: [Int32]) throws(PowerAttentionError) -> Tensor {
        try kernels.place(Tensor([tokens.count], tokens))
    }

    private func check(
        _ tokens: [Int32], targets: [Int32], batch: Int, length: Int
    ) throws(PowerAttentionError) {
        guard batch >= 1 else { throw PowerAttentionError(argument: "batch", given: "\(batch)", expected: "at least 1") }
        guard length >= 1 else { throw PowerAttentionError(argument: "length", given: "\(length)", expected: "at least 1") }
        let (count, overflow) = batch.multipliedReportingOverflow(by: length)
        for (argument, given) in [("tokens", tokens.count), ("targets", targets.count)] where overflow || given != count {
            throw PowerAttentionError(argument: argument, given: "\(given)", expected: "batch · length = \(batch) · \(length)")
        }
        try configuration.check(tokens)
        let vocabulary = configuration.vocabularySize
        if let target = targets.first(where: { $0 >= vocabulary }) {
            throw PowerAttentionError(
                argument: "targets", given: "token \(target)",
                expected: "0…\(vocabulary - 1), or a negative number for a token that is not scored")
        }
    }
}

extension Tensor {
    fileprivate var isFinite: Bool {
        dataType == .float64
            ? withElements(of: Double.self) { $0.allSatisfy(\.isFinite) }
            : withElements(of: Float.self) { $0.allSatisfy(\.isFinite) }
    }
}
