public import PowerAttention

/// What mixes the tokens of a sequence in every block: the choice that the paper's comparisons are about.
public enum Mixer: Sendable, Hashable {
    /// Power attention of degree 1…4. Even degrees are divided by the sum of the weights; odd degrees, whose weights are signed,
    /// are not.
    case power(degree: Int)
    /// Softmax attention; with a window, over the last `window` tokens.
    case exponential(window: Int?)
    /// Linear attention: the first power, without a normalizer.
    case linear

    /// Softmax attention over the whole context.
    public static let exponential = Mixer.exponential(window: nil)

    /// The operator's name for this mixer.
    public var mechanism: AttentionConfiguration.Mechanism {
        switch self {
        case .power(let degree): .power(degree: degree)
        case .exponential(let window): .exponential(window: window)
        case .linear: .power(degree: 1)
        }
    }

    /// The value of the configuration key `mixer`.
    enum Kind: String, CaseIterable, Codable {
        case power, exponential, linear
    }

    var kind: Kind {
        switch self {
        case .power: .power
        case .exponential: .exponential
        case .linear: .linear
        }
    }
}
