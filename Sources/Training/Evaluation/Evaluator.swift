package import LanguageModel
package import Tensors

/// Scores held-out windows with a model.
package struct Evaluator: Sendable {
    package let windows: HeldOutWindows
    /// Windows that the model reads at once.
    private let windowsAtOnce: Int

    package init(_ windows: HeldOutWindows, tokensAtOnce: Int = Evaluator.tokensAtOnce) {
        self.windows = windows
        windowsAtOnce = Self.windowsAtOnce(windows.context, tokensAtOnce: tokensAtOnce)
    }

    package static let tokensAtOnce = 8192

    static func windowsAtOnce(_ context: Int, tokensAtOnce: Int = tokensAtOnce) -> Int { max(1, tokensAtOnce / context) }

    /// The loss at every position of every window, in nats.
    ///
    /// - Parameter progress: called with the number of windows done after every batch; return false to stop there.
    package func losses(
        _ model: LanguageModel, progress: (Int) -> Bool = { _ in true }
    ) throws(PowerAttentionError) -> [[Float]] {
        var result: [[Float]] = []
        while result.count < windows.starts.count {
            var batch = Batch(length: windows.context)
            for index in result.count..<min(result.count + windowsAtOnce, windows.starts.count) {
                batch.append(try windows.window(index))
            }
            let losses = try model.losses(
                batch.tokens, targets: batch.targets, batch: batch.rows, length: batch.length)
            losses.withElements(of: Float.self) { elements in
                for row in 0..<batch.rows {
                    result.append(Array(elements[row * batch.length..<(row + 1) * batch.length]))
                }
            }
            guard progress(result.count) else { break }
        }
        return result
    }

    /// The mean over all windows and positions.
    package func meanLoss(_ model: LanguageModel) throws(PowerAttentionError) -> Double {
        let losses = try losses(model)
        let sum = losses.reduce(0) { $0 + $1.reduce(0) { $0 + Double($1) } }
        return sum / Double(losses.count * windows.context)
    }

    /// The in-context learning curve.
    package func curve(
        _ model: LanguageModel, progress: (Int) -> Bool = { _ in true }
    ) throws(PowerAttentionError) -> InContextCurve {
        let losses = try losses(model, progress: progress)
        return InContextCurve(losses: losses, documents: windows.documentCount, bins: ContextBins(context: windows.context))
    }
}
