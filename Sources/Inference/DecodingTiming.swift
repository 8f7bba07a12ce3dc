public import LanguageModel
public import Tensors

/// What the next token costs after a context of some length: the claim of recurrent decoding, measured.
public struct DecodingTiming: Sendable, Hashable {
    /// The number of tokens before.
    public let context: Int
    /// The median over the tokens measured.
    public let secondsPerToken: Double
    /// The bytes that the model remembers.
    public let stateBytes: Int

    /// Measures `tokens` tokens after each of the contexts, which are filled with random ones.
    ///
    /// - Parameter ready: is called with every result as soon as it is there.
    /// - Throws: `PowerAttentionError` where a context is shorter than one token, or where the state would not fit in memory.
    @discardableResult
    public static func measure(
        _ model: LanguageModel, contexts: [Int], tokens: Int = 64, _ ready: (DecodingTiming) -> Void = { _ in }
    ) throws(PowerAttentionError) -> [DecodingTiming] {
        if let context = contexts.first(where: { $0 < 1 }) {
            throw PowerAttentionError(argument: "context", given: "\(context)", expected: "at least 1")
        }
        var random = RandomGenerator(seed: 0)
        var timings: [DecodingTiming] = []
        for context in contexts {
            var generator = try Generator(model)
            try generator.read((0..<context).map { _ in random.token(below: model.configuration.vocabularySize) })
            timings.append(try measure(&generator, tokens: tokens))
            ready(timings[timings.count - 1])
        }
        return timings
    }

    private static func measure(
        _ generator: inout Generator, tokens: Int
    ) throws(PowerAttentionError) -> DecodingTiming {
        let context = generator.state.tokens
        var seconds: [Double] = []
        let clock = ContinuousClock()
        for _ in 0..<max(tokens, 1) {
            let start = clock.now
            _ = try generator.next()
            seconds.append((clock.now - start) / .seconds(1))
        }
        return DecodingTiming(
            context: context, secondsPerToken: seconds.sorted()[seconds.count / 2], stateBytes: generator.state.byteCount)
    }
}

extension RandomGenerator {
    fileprivate mutating func token(below vocabularySize: Int) -> Int32 { Int32(next() % UInt64(vocabularySize)) }
}
