package import LanguageModel
public import Tensors

/// The text of a run: the documents that it trains on and those that are held out.
public struct TrainingData: Sendable {
    package let source: any TokenSource
    package let heldOut: [Range<Int>]
    package let ring: TokenRing

    package init(_ source: any TokenSource, training: [Range<Int>], heldOut: [Range<Int>]) {
        self.source = source
        self.heldOut = heldOut
        ring = TokenRing(source, documents: training)
    }

    /// The text that a configuration names.
    ///
    /// - Throws: `inputOutput` and `damagedFile` where it cannot be read, `invalidArgument` where it was made with another
    ///   tokenizer.
    public init(_ configuration: RunConfiguration) throws(PowerAttentionError) {
        let tokenizer = try BuiltInTokenizer(named: configuration.tokenizer).load()
        let novels = try AustenNovels.load(tokenizer)
        self.init(novels, training: Array(novels.documents.dropLast()), heldOut: Array(novels.documents.suffix(1)))
    }

    /// What measures the held-out loss during training; `nil` where nothing is held out.
    package func heldOutEvaluator(_ training: TrainingConfiguration) throws(PowerAttentionError) -> Evaluator? {
        guard !heldOut.isEmpty else { return nil }
        let windows = try HeldOutWindows(
            source, documents: heldOut, context: training.context, limit: training.evaluationWindows)
        return Evaluator(windows)
    }
}
