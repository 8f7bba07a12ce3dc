import PowerAttention
public import Tensors

extension LanguageModel {
    /// The state before the first token of one sequence.
    ///
    /// - Parameter switchOver: the number of tokens at which power attention folds keys and values into its state; where both
    ///   cost the same if it is `nil`. The answers do not depend on it.
    /// - Throws: `PowerAttentionError` where the state would not fit in memory.
    public func makeState(switchOver: Int? = nil) throws(PowerAttentionError) -> ModelState {
        var states: [DecodingState] = []
        for block in blocks {
            states.append(
                try block.mixer.decoding.makeState(
                    keyHeads: configuration.keyHeads, keyWidth: configuration.keyWidth, valueWidth: configuration.keyWidth,
                    switchOver: switchOver))
        }
        return ModelState(blocks: states)
    }

    /// Appends tokens to a state, one or many, and gives the logits `[vocabulary]` of the token after the last, in host memory.
    ///
    /// - Throws: `PowerAttentionError` where there is no token, one is not in the vocabulary, or the state is another model's.
    /// - Complexity: constant in the tokens before for power and linear attention and within a window; linear in them for
    ///   exponential attention, whose state grows as well.
    public func advance(_ state: inout ModelState, _ tokens: [Int32]) throws(PowerAttentionError) -> Tensor {
        guard !tokens.isEmpty else {
            throw PowerAttentionError(argument: "tokens", given: "none", expected: "at least one token")
        }
        try configuration.check(tokens)
        guard state.blocks.count == blocks.count else {
            throw PowerAttentionError(
                argument: "state", given: "\(state.blocks.count) blocks", expected: "the \(blocks.count) of this model")
        }
        let positions = try RotaryPositions(
            state.tokens..<state.tokens + tokens.count, headWidth: configuration.keyWidth, base: configuration.rotaryBase,
            dataType
        ).placed(by: kernels)
        let layout = SequenceLayout(batch: 1, length: tokens.count, positions: positions)
        var x = try embedding.forward(place(tokens))
        for (index, block) in blocks.enumerated() { try block.advance(&x, layout, &state.blocks[index]) }
        state.tokens += tokens.count
        let last = x.rows(tokens.count - 1..<tokens.count)
        let logits = try head.logits(norm.forward(last).0).onHost()
        let count = configuration.vocabularySize
        guard logits.dataType != dataType || logits.count > count else { return logits.reshaped([count]) }
        return Tensor([count], Array(logits.converted(to: .float32).array(of: Float.self).prefix(count)))
    }
}
