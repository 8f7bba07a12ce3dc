public import Tensors

/// How the next token is drawn from a model's distribution.
public struct SamplingOptions: Sendable, Hashable {
    /// Divides the logits: below 1 likely tokens become likelier; 0 always takes the likeliest.
    public var temperature: Double
    /// Only the `topK` likeliest tokens are drawn.
    public var topK: Int?
    /// Only the likeliest tokens that together reach this probability are drawn (nucleus sampling; Holtzman et al. 2019).
    public var topP: Double?
    /// The same seed draws the same tokens.
    public var seed: UInt64

    public init(temperature: Double = 1, topK: Int? = nil, topP: Double? = nil, seed: UInt64 = 0) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }

    /// - Throws: `PowerAttentionError` for a temperature that is negative or not finite, `topK` below 1, `topP` outside (0, 1].
    public func validate() throws(PowerAttentionError) {
        guard temperature >= 0, temperature.isFinite else {
            throw PowerAttentionError(argument: "temperature", given: "\(temperature)", expected: "a number of at least 0")
        }
        if let topK, topK < 1 {
            throw PowerAttentionError(argument: "top-k", given: "\(topK)", expected: "at least 1")
        }
        if let topP, !(topP > 0 && topP <= 1) {
            throw PowerAttentionError(argument: "top-p", given: "\(topP)", expected: "a number above 0 and at most 1")
        }
    }
}
