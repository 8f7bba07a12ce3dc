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
        let layout = layout(batch: batch, length: length)
        var x = embedding.forward(tokens)
        for block in blocks { x = try block.forward(x, layout).0 }
        return head.losses(norm.forward(x).0, targets: targets).reshaped([batch, length])
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
        let layout = layout(batch: batch, length: length)
        var x = embedding.forward(tokens)
        var contexts: [Block.Context] = []
        for block in blocks {
            let (y, context) = try block.forward(x, layout)
            x = y
            contexts.append(context)
        }
        let (normalized, normContext) = norm.forward(x)
        let (loss, headGradient) = head.backward(normalized, targets: targets, gradientScale: scale / Double(scored))
        var gradient = Tensor(uninitialized: x.shape, dataType)
        norm.backward(normContext, gradient: headGradient, into: &gradient, accumulate: false)
        for block in blocks.reversed() { try block.backward(contexts.removeLast(), layout, gradient: &gradient) }
        embedding.backward(tokens, gradient: gradient)
        return loss / Double(scored)
    }

    /// Sets the gradients of all parameters to zero.
    public func zeroGradients() {
        for parameter in parameters { parameter.zeroGradient() }
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
        try check(tokens)
        let vocabulary = configuration.vocabularySize
        if let target = targets.first(where: { $0 >= vocabulary }) {
            throw PowerAttentionError(
                argument: "targets", given: "token \(target)",
                expected: "0…\(vocabulary - 1), or a negative number for a token that is not scored")
        }
    }

    /// Checks that tokens are in the vocabulary.
    package func check(_ tokens: [Int32]) throws(PowerAttentionError) {
        let vocabulary = configuration.vocabularySize
        if let token = tokens.first(where: { $0 < 0 || $0 >= vocabulary }) {
            throw PowerAttentionError(argument: "tokens", given: "token \(token)", expected: "0…\(vocabulary - 1)")
        }
    }
}
