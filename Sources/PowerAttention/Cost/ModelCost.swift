public import BackendInterface
public import Tensors

/// What a language model costs to train, a token: the FLOPs of its weights beside the FLOPs of its state, and their ratio, the
/// weight-state FLOP ratio of the paper (WSFR, section 3.2).
///
/// The convention, which gives the ratios 8:1, 1:1 and 1:8 of the paper's table 2 for a 124M GPT-2 with exponential attention at
/// contexts of 1,024, 8,192 and 65,536 tokens:
///
/// - Weights are the matrices that every token passes through, embeddings and head not among them: `12·768²` in each of 12 layers,
///   85M. A weight costs 6 FLOPs a token: a multiply-add forward, two backward.
/// - The head, a product with the vocabulary, costs as much a weight. It is work that training does, but not in the ratio.
/// - State FLOPs are those of ``AttentionCost``, averaged over the tokens of the context: causal attention looks at `(t + 1)/2`
///   tokens on average, and backward has 2.5 times the products of forward.
///
/// So exponential attention with heads of width 64 costs `3.5 · 4·64 · (t + 1)/2` a head and token.
public struct ModelCost: Sendable, Hashable {
    /// FLOPs of the weights of the layers a token, forward and backward.
    public let weightFLOPs: Double
    /// FLOPs of the head a token, forward and backward.
    public let headFLOPs: Double
    /// FLOPs of the state a token, forward and backward, of all layers.
    public let stateFLOPs: Double
    /// The bytes of the state of one sequence, in all layers, at the end of the context.
    public let stateBytes: Double
    /// The form of the attention layers.
    public let form: AttentionConfiguration.Form

    /// - Parameters:
    ///   - weights: the number of weights besides embeddings and head.
    ///   - headWeights: those of the head, the vocabulary times the width.
    ///   - layers: the number of attention layers.
    ///   - context: the shape of one sequence in one layer.
    ///   - device: where the operator runs, which decides how long its chunks are.
    /// - Throws: `PowerAttentionError` where the configuration or the shape is illegal.
    public init(
        weights: Int, headWeights: Int = 0, layers: Int, attention: AttentionConfiguration, context: AttentionShape,
        device: Device = .cpu
    ) throws(PowerAttentionError) {
        for (name, value) in [("weights", weights), ("layers", layers), ("context", context.length)] where value < 1 {
            throw PowerAttentionError(argument: name, given: "\(value)", expected: "at least 1")
        }
        let cost = try AttentionOperator(attention, device: device).cost(of: context)
        guard headWeights >= 0 else {
            throw PowerAttentionError(argument: "headWeights", given: "\(headWeights)", expected: "none, or more")
        }
        weightFLOPs = 6 * Double(weights)
        headFLOPs = 6 * Double(headWeights)
        stateFLOPs = Double(layers) * cost.trainingFLOPs / Double(context.batch * context.length)
        stateBytes = Double(layers) * cost.stateBytes / Double(context.batch)
        form = cost.form
    }

    /// The weight-state FLOP ratio.
    public var ratio: Double { weightFLOPs / stateFLOPs }

    /// The ratio as the paper writes it, `8:1` or `1:8`.
    public var ratioDescription: String {
        ratio >= 1 ? "\(Int(ratio.rounded())):1" : "1:\(Int((1 / ratio).rounded()))"
    }
}
