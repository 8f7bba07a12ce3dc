package import BackendInterface
package import Tensors

/// The language model's head: logits `x·Wᵀ` over the vocabulary, and the cross-entropy of the next token.
///
/// At a vocabulary of 50,257 the logits of a batch would be larger than everything else together: they exist for one chunk of
/// rows at a time, and their gradient takes their place. Where the kernels can, nobody sees logits at all, but odds (``TargetOdds``).
package struct Head {
    let weight: Parameter
    let kernels: any LayerKernels
    /// The number of logits that exist at a time, at most, unless a single row has more.
    let chunkElements: Int

    /// On a device every chunk reads and writes the weight's gradient once more: few chunks, of 3.4 GB.
    package static let deviceChunkElements = 25 << 26

    package init(weight: Parameter, _ kernels: any LayerKernels, chunkElements: Int? = nil) {
        // The embedding's, where it is tied, is added to afterwards.
        weight.startsWithProduct = true
        self.weight = weight
        self.kernels = kernels
        self.chunkElements = chunkElements ?? (kernels.activationType == nil ? 1 << 24 : Self.deviceChunkElements)
    }

    /// `[rows, vocabulary]`, or longer rows where the kernels ask for them.
    package func logits(_ x: Tensor) throws(PowerAttentionError) -> Tensor {
        var logits = try kernels.uninitialized([x.shape[0], kernels.aligned(vocabulary)], x.dataType)
        try kernels.multiply(x, transposeA: false, weight.operand, transposeB: true, into: &logits, accumulate: false)
        return logits
    }

    /// `−log softmax(logits)[target]` in nats for every row, zero where the target is negative.
    package func losses(_ x: Tensor, targets: Tensor) throws(PowerAttentionError) -> Tensor {
        var losses = try kernels.uninitialized([targets.count], weight.value.dataType)
        for rows in chunks(targets.count) {
            try kernels.setRows(&losses, from: rows.lowerBound, to: partLosses(x.rows(rows), targets: targets.rows(rows)))
        }
        return losses
    }

    /// The losses; adds the weight's gradient and gives the input's for `gradientScale` times their sum.
    package func backward(
        _ x: Tensor, targets: Tensor, gradientScale: Double
    ) throws(PowerAttentionError) -> (losses: Tensor, gradient: Tensor) {
        var losses = try kernels.uninitialized([targets.count], weight.value.dataType)
        var gradient = try kernels.uninitialized(x.shape, x.dataType)
        for rows in chunks(targets.count) {
            let part = try partBackward(x.rows(rows), targets: targets.rows(rows), gradientScale: gradientScale)
            try kernels.setRows(&losses, from: rows.lowerBound, to: part.losses)
            try kernels.setRows(&gradient, from: rows.lowerBound, to: part.gradient)
        }
        return (losses, gradient)
    }

    private func partLosses(_ x: Tensor, targets: Tensor) throws(PowerAttentionError) -> Tensor {
        if let odds = try kernels.targetOdds(
            x, weight: weight.operand, vocabulary: vocabulary, targets: targets, gradientScale: nil)
        {
            return odds.losses
        }
        var logits = try logits(x)
        return try kernels.crossEntropy(&logits, columns: vocabulary, targets: targets, gradientScale: nil)
    }

    private func partBackward(
        _ x: Tensor, targets: Tensor, gradientScale: Double
    ) throws(PowerAttentionError) -> (losses: Tensor, gradient: Tensor) {
        if let result = try kernels.targetOdds(
            x, weight: weight.operand, vocabulary: vocabulary, targets: targets, gradientScale: gradientScale),
            let odds = result.gradients
        {
            try weight.addProduct(odds.odds, odds.scaled, by: kernels)
            try kernels.addTargets(odds, weightGradient: &weight.gradientSum)
            var gradient = try inputGradient(odds.odds, of: x)
            try kernels.finishOddsGradient(&gradient, odds, weight: weight.operand)
            return (result.losses, gradient)
        }
        var logits = try logits(x)
        let losses = try kernels.crossEntropy(&logits, columns: vocabulary, targets: targets, gradientScale: gradientScale)
        try weight.addProduct(logits, x, by: kernels)
        return (losses, try inputGradient(logits, of: x))
    }

    /// `gradient · W`.
    private func inputGradient(_ gradient: Tensor, of x: Tensor) throws(PowerAttentionError) -> Tensor {
        var product = try kernels.uninitialized(x.shape, x.dataType)
        try kernels.multiply(
            gradient, transposeA: false, weight.operand, transposeB: false, into: &product, accumulate: false)
        return product
    }

    private var vocabulary: Int { weight.value.shape[0] }

    /// Runs of rows of nearly equal length, few enough at a time.
    private func chunks(_ rows: Int) -> [Range<Int>] {
        let most = max(1, chunkElements / vocabulary)
        let count = (rows + most - 1) / most
        let length = min(most, kernels.aligned((rows + count - 1) / count))
        return stride(from: 0, to: rows, by: length).map { $0..<min(rows, $0 + length) }
    }
}
