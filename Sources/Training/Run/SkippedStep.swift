/// A line of `metrics.jsonl` for a step that changed nothing: its loss or its gradients were not finite, or its gradients were a spike.
///
/// It has a `reason`, which the line of a ``StepRecord`` has not, and no learning rate, operations and speed:
///
///     {"first":"the input of norm","gradient_norm":"inf","loss":"nan","reason":"not_finite","seconds":4,"skipped":1,"step":5,"tokens":480}
///
/// In the file numbers that are not finite are the words `"nan"`, `"inf"` and `"-inf"`.
public struct SkippedStep: Sendable, Hashable, Codable {
    /// Why the step was skipped.
    public enum Reason: String, Sendable, Hashable, Codable {
        /// The loss or the norm of the gradients was not a finite number.
        case notFinite = "not_finite"
        /// The norm of the gradients was many times that of the steps before it: ``TrainingConfiguration/spikeFactor``.
        case spike
    }

    /// The first step is 1.
    public var step: Int
    /// Tokens of the steps since the beginning of the run, skipped ones among them.
    public var tokens: Int
    /// Seconds of training since the beginning of the run, as in ``StepRecord``.
    public var seconds: Double
    /// The steps so far that changed nothing, this one among them.
    public var skipped: Int
    public var reason: Reason
    /// The mean loss of the step's batch, in nats a token.
    public var loss: Double
    /// The norm of all gradients together, before clipping.
    public var gradientNorm: Double
    /// What was not finite first, as "the input of blocks.3.mlp_norm" or "the gradient of norm.weight"; `nil` for a spike, and where it could
    /// not be told.
    public var first: String?

    private enum CodingKeys: String, CodingKey {
        case step, tokens, seconds, skipped, reason, loss, first
        case gradientNorm = "gradient_norm"
    }
}
