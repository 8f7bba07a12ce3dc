public import PowerAttention

/// The shape of a language model: everything that fixes its parameters and the function they compute.
///
/// ```swift
/// let configuration = ModelConfiguration(vocabularySize: 50_257, layers: 12, width: 768, heads: 12, mixer: .power(degree: 2))
/// ```
///
/// In files its keys are in snake case, and the mixer is `mixer` (`power`, `exponential`, `linear`) beside `degree` (power) or
/// `window` (exponential). Keys that are left out have the defaults of the initializer; unknown keys are errors.
public struct ModelConfiguration: Sendable, Hashable {
    /// What stands between the two projections of the MLP.
    public enum Activation: String, Sendable, Hashable, Codable, CaseIterable {
        /// The Gaussian error linear unit, in its tanh form.
        case gelu
        /// `silu(gate) · value` with two input projections (Shazeer 2020).
        case swiglu
    }

    /// What normalizes the input of every branch and of the head.
    public enum Normalization: String, Sendable, Hashable, Codable, CaseIterable {
        case layerNorm = "layer_norm"
        case rmsNorm = "rms_norm"
    }

    /// The number of different tokens.
    public var vocabularySize: Int
    /// The number of blocks.
    public var layers: Int
    /// The width of the residual stream.
    public var width: Int
    /// The number of query heads.
    public var heads: Int
    /// The number of heads of keys, values and gates, a divisor of `heads`; as many as `heads` where it is `nil`.
    public var keyValueHeads: Int?
    /// d, the width of a head, even; `width / heads` where it is `nil`.
    public var headWidth: Int?
    public var mlp: Activation
    /// The number of hidden units; where it is `nil`, 4 widths for GELU, and for SwiGLU, which has three matrices, 8/3 widths
    /// rounded up to a multiple of 32.
    public var mlpWidth: Int?
    public var norm: Normalization
    public var mixer: Mixer
    /// Whether the mixer forgets: every token and key head has a gate `sigmoid(W x + b)`, 0.999 before training.
    public var gated: Bool
    /// The base of the wavelengths of the rotary positions.
    public var rotaryBase: Double
    /// Whether the head reads the token embedding's matrix instead of one of its own.
    public var tiedEmbeddings: Bool
    /// Whether projections have biases, as in GPT-2.
    public var biases: Bool
    /// How the mixer is evaluated; the function is the same.
    public var form: AttentionConfiguration.Form
    /// The number of tokens in a chunk of the mixer's chunked form; chosen by cost where it is `nil`.
    public var chunkSize: Int?

    public init(
        vocabularySize: Int = 256, layers: Int = 4, width: Int = 256, heads: Int = 4, keyValueHeads: Int? = nil,
        headWidth: Int? = nil, mlp: Activation = .gelu, mlpWidth: Int? = nil, norm: Normalization = .layerNorm,
        mixer: Mixer = .power(degree: 2), gated: Bool = true, rotaryBase: Double = 10_000, tiedEmbeddings: Bool = true,
        biases: Bool = false, form: AttentionConfiguration.Form = .automatic, chunkSize: Int? = nil
    ) {
        self.vocabularySize = vocabularySize
        self.layers = layers
        self.width = width
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headWidth = headWidth
        self.mlp = mlp
        self.mlpWidth = mlpWidth
        self.norm = norm
        self.mixer = mixer
        self.gated = gated
        self.rotaryBase = rotaryBase
        self.tiedEmbeddings = tiedEmbeddings
        self.biases = biases
        self.form = form
        self.chunkSize = chunkSize
    }
}

extension ModelConfiguration {
    /// h, the number of key heads.
    public var keyHeads: Int { keyValueHeads ?? heads }

    /// d, the width of every head's queries, keys and values.
    public var keyWidth: Int { headWidth ?? (heads > 0 ? width / heads : 0) }

    /// The number of hidden units of the MLP.
    public var hiddenWidth: Int {
        if let mlpWidth { return mlpWidth }
        return switch mlp {
        case .gelu: 4 * width
        case .swiglu: (8 * width / 3 + 31) / 32 * 32
        }
    }

    /// The configuration of the operator in every block.
    public var attention: AttentionConfiguration {
        AttentionConfiguration(mixer.mechanism, form: form, chunkSize: chunkSize)
    }
}
