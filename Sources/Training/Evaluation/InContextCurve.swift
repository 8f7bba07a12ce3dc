/// The in-context learning curve (paper, section 4): the mean loss at each position of the context, over held-out text.
///
/// Losses are in nats a token. A sample is a *window*: `context` tokens of one document that overlap no other window. Standard
/// errors are over windows, taken as independent: `s / √n` with s the standard deviation (n − 1 in the denominator) of the
/// windows' own means and n the number of windows. Where every window is from a document of its own that is the error over
/// documents; where documents give several windows each, it leaves out what these have in common. It is absent for one window.
///
/// This is the content of `eval.json`.
public struct InContextCurve: Sendable, Hashable, Codable {
    /// The mean over the positions `from ..< to`.
    public struct Bin: Sendable, Hashable, Codable {
        public let from: Int
        public let to: Int
        public let loss: Double
        public let standardError: Double?
        /// The number of tokens that were scored.
        public let count: Int

        private enum CodingKeys: String, CodingKey {
            case from, to, loss, count
            case standardError = "standard_error"
        }
    }

    /// Tokens a window.
    public let context: Int
    /// The number of documents that the windows are from.
    public let documents: Int
    public let windows: Int
    /// The number of tokens that were scored.
    public let tokens: Int
    public let meanLoss: Double
    public let standardError: Double?
    public let bins: [Bin]

    private enum CodingKeys: String, CodingKey {
        case context, documents, windows, tokens, bins
        case meanLoss = "mean_loss"
        case standardError = "standard_error"
    }

    /// The curve of windows whose losses by position are given.
    ///
    /// - Precondition: there is a window, and each has `bins.context` losses.
    package init(losses: [[Float]], documents: Int, bins: ContextBins) {
        precondition(!losses.isEmpty && losses.allSatisfy { $0.count == bins.context })
        context = bins.context
        self.documents = documents
        windows = losses.count
        tokens = losses.count * bins.context
        (meanLoss, standardError) = Self.statistics(losses, 0..<bins.context)
        self.bins = bins.ranges.map { range in
            let (loss, error) = Self.statistics(losses, range)
            return Bin(
                from: range.lowerBound, to: range.upperBound, loss: loss, standardError: error,
                count: range.count * losses.count)
        }
    }

    /// The mean over windows of their mean in `range`, and its standard error.
    private static func statistics(_ losses: [[Float]], _ range: Range<Int>) -> (mean: Double, standardError: Double?) {
        let samples = losses.map { window in window[range].reduce(0) { $0 + Double($1) } / Double(range.count) }
        let count = Double(samples.count)
        let mean = samples.reduce(0, +) / count
        guard samples.count > 1 else { return (mean, nil) }
        let squares = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        return (mean, (squares / (count - 1) / count).squareRoot())
    }
}
