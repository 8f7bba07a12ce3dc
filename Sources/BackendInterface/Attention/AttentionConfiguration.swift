/// What a sequence mixer computes, and how: the one configuration type of power, linear and exponential attention.
///
/// Similarities between a query and the keys before it (paper, section 2), with `G` the cumulative sum of the log-gates:
///
///     power         a_ij = (scale · q_i·k_j)^p · exp(G_i − G_j)
///     exponential   a_ij = exp(scale · q_i·k_j + G_i − G_j)
///
/// and `y_i = Σ_j a_ij v_j`, divided by `Σ_j a_ij` under sum normalization. Linear attention is `power(degree: 1)` without
/// normalization.
public struct AttentionConfiguration: Sendable, Hashable, Codable {
    /// The similarity of a query and a key.
    public enum Mechanism: Sendable, Hashable, Codable {
        /// The p-th power of the inner product, p = 1, 2, 3 or 4. Its state has constant size.
        case power(degree: Int)
        /// The exponential of the inner product (softmax attention); with a window, a query sees the last `window` keys,
        /// its own among them.
        case exponential(window: Int?)
    }

    /// What the weighted sum of values is divided by.
    public enum Normalization: String, Sendable, Hashable, Codable, CaseIterable {
        /// The sum of the weights; even degrees only, because an odd power is signed.
        case sum
        /// Nothing.
        case none
    }

    /// How the function is evaluated; every form gives the same answer.
    public enum Form: String, Sendable, Hashable, Codable, CaseIterable {
        /// The form with the fewest FLOPs whose state fits in memory.
        case automatic = "auto"
        /// All pairs of tokens, in tiles: O(t²) time, no state.
        case attention
        /// One token at a time through the state: O(t·D).
        case recurrent
        /// Attention inside chunks of `chunkSize` tokens, the state between them: O(t·(chunkSize + D)).
        case chunked
    }

    public var mechanism: Mechanism
    /// Multiplies every inner product; `1/√d` where it is `nil`.
    public var scale: Double?
    public var normalization: Normalization
    public var form: Form
    /// The number of tokens in a chunk; chosen by cost where it is `nil`.
    public var chunkSize: Int?
    /// τ, the tile of the symmetric power: 1 gives the smallest state, d the full tensor power.
    public var tile: Int

    public init(
        _ mechanism: Mechanism, normalization: Normalization? = nil, scale: Double? = nil, form: Form = .automatic,
        chunkSize: Int? = nil, tile: Int = 1
    ) {
        self.mechanism = mechanism
        self.normalization = normalization ?? mechanism.defaultNormalization
        self.scale = scale
        self.form = form
        self.chunkSize = chunkSize
        self.tile = tile
    }
}

extension AttentionConfiguration.Mechanism {
    /// Sum where the weights cannot be negative, none for odd powers.
    public var defaultNormalization: AttentionConfiguration.Normalization {
        switch self {
        case .power(let degree): degree.isMultiple(of: 2) ? .sum : .none
        case .exponential: .sum
        }
    }
}
