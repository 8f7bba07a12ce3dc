import PowerAttention

/// What a model carries from token to token: the state of the mixer in every block, and the position. A value: a copy goes its
/// own way.
public struct ModelState: Sendable {
    /// The number of tokens that the model has seen.
    public internal(set) var tokens = 0
    var blocks: [DecodingState]

    /// The bytes held; constant for power and linear attention once their keys and values are folded into the state.
    public var byteCount: Int { blocks.reduce(0) { $0 + $1.byteCount } }
}
