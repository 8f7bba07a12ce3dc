public import LanguageModel
public import Tensors

/// Continues a sequence of tokens with a model, one token at a time, in constant memory and constant time a token for power and
/// linear attention and within a window, however long the sequence is.
///
/// ```swift
/// var generator = try Generator(model, SamplingOptions(temperature: 0.8, topK: 50, seed: 1))
/// try generator.read(tokenizer.encode("It is a truth"))
/// for _ in 0..<100 { print(try generator.next()) }
/// ```
///
/// A value: a copy continues on its own, from the same place and with the same random numbers.
public struct Generator {
    public let model: LanguageModel
    /// What the model remembers.
    public private(set) var state: ModelState
    private var sampler: Sampler
    private var logits: Tensor?

    /// The number of prompt tokens that are read at a time: the activations of no more than these are in memory.
    static let prefillLength = 4096

    /// - Parameter switchOver: the number of tokens at which power attention folds keys and values into its state; where both
    ///   cost the same if it is `nil`. The tokens do not depend on it.
    /// - Throws: `PowerAttentionError` for illegal options, or where the state would not fit in memory.
    public init(
        _ model: LanguageModel, _ options: SamplingOptions = SamplingOptions(), switchOver: Int? = nil
    ) throws(PowerAttentionError) {
        sampler = try Sampler(options)
        state = try model.makeState(switchOver: switchOver)
        self.model = model
    }

    /// Reads tokens that are given: a prompt, or what the other side of a conversation says.
    ///
    /// - Throws: `PowerAttentionError` where a token is not in the vocabulary; nothing is read then.
    public mutating func read(_ tokens: [Int32]) throws(PowerAttentionError) {
        try model.configuration.check(tokens)
        // A cache of keys answers the tokens of its first call in tiles, those of later ones one after the other.
        var length = Self.prefillLength
        if case .exponential = model.configuration.mixer, state.tokens == 0 { length = max(length, tokens.count) }
        for start in stride(from: 0, to: tokens.count, by: length) {
            logits = try model.advance(&state, Array(tokens[start..<min(start + length, tokens.count)]))
        }
    }

    /// Draws the next token and reads it.
    ///
    /// - Throws: `PowerAttentionError` where no token has been read yet, or the model's numbers are not finite.
    public mutating func next() throws(PowerAttentionError) -> Int32 {
        guard let logits else {
            throw PowerAttentionError(argument: "prompt", given: "no tokens", expected: "at least one token to continue")
        }
        let token = try sampler.draw(logits)
        self.logits = try model.advance(&state, [token])
        return token
    }

    /// Draws tokens until there are `limit` of them, `end` comes up, which is not passed on, or `receive` returns false.
    ///
    /// - Parameter receive: is called with every token as soon as it is there.
    /// - Returns: the number of tokens that were passed on.
    @discardableResult
    public mutating func stream(
        limit: Int, end: Int32? = nil, _ receive: (Int32) throws -> Bool
    ) throws -> Int {
        for count in 0..<max(limit, 0) {
            let token = try next()
            if token == end { return count }
            if try !receive(token) { return count + 1 }
        }
        return max(limit, 0)
    }
}
