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
        let tokenizer = try BuiltInTokenizer(named: configuration.tokenizer)
        guard configuration.data.path != AustenNovels.name else {
            let novels = try AustenNovels.load(tokenizer.load())
            self.init(novels, training: Array(novels.documents.dropLast()), heldOut: Array(novels.documents.suffix(1)))
            return
        }
        let file = try TokenFile(configuration.data.path)
        guard file.tokenizer == tokenizer.rawValue else {
            throw PowerAttentionError(
                argument: "tokenizer", given: tokenizer.rawValue, expected: "\(file.tokenizer), which made \(file.path)")
        }
        guard file.vocabularySize <= configuration.model.vocabularySize else {
            throw PowerAttentionError(
                argument: "vocabulary_size", given: "\(configuration.model.vocabularySize)",
                expected: "at least the \(file.vocabularySize) of \(file.path)")
        }
        self.init(file, training: file.trainingDocuments, heldOut: file.heldOutDocuments)
    }

    /// What measures the held-out loss during training; `nil` where nothing is held out or no loss is asked for.
    package func heldOutEvaluator(_ training: TrainingConfiguration) throws(PowerAttentionError) -> Evaluator? {
        guard !heldOut.isEmpty, training.evaluationInterval > 0 else { return nil }
        let windows = try HeldOutWindows(
            source, documents: heldOut, context: heldOutContext(training.context), limit: training.evaluationWindows)
        return Evaluator(windows)
    }

    /// The context in which held-out text is scored where nothing else is asked for: that of training, or what the longest
    /// held-out document has room for, its last token being a target only.
    package func heldOutContext(_ context: Int) -> Int {
        let longest = heldOut.lazy.map(\.count).max() ?? 0
        return max(1, min(context, longest - 1))
    }
}
