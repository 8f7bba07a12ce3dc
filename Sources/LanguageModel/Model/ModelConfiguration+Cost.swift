extension ModelConfiguration {
    /// The number of weights in matrices of the blocks, which multiply every token.
    package var blockWeights: Int {
        let projections = width * keyWidth * (2 * heads + 2 * keyHeads) + (gated ? width * keyHeads : 0)
        let mlpWeights = width * hiddenWidth * (mlp == .swiglu ? 3 : 2)
        return layers * (projections + mlpWeights)
    }

    /// The number of weights of the head; an embedding is looked up, a tied head multiplies.
    package var headWeights: Int { vocabularySize * width }

    /// The number of trained numbers of the model.
    public var parameterCount: Int {
        let norms = (2 * layers + 1) * width * (norm == .layerNorm ? 2 : 1)
        let hiddenOutputs = hiddenWidth * (mlp == .swiglu ? 2 : 1)
        let biasCount = (gated ? keyHeads : 0) + (biases ? keyWidth * (heads + 2 * keyHeads) + 2 * width + hiddenOutputs : 0)
        return blockWeights + headWeights + (tiedEmbeddings ? 0 : vocabularySize * width) + norms + layers * biasCount
    }
}
