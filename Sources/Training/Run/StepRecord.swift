/// A line of `metrics.jsonl`: what one training step did.
public struct StepRecord: Sendable, Hashable, Codable {
    /// The first step is 1.
    public var step: Int
    /// Tokens trained on since the beginning of the run.
    public var tokens: Int
    /// The mean loss of the step's batch before the update, in nats a token.
    public var loss: Double
    public var learningRate: Double
    /// The norm of all gradients together, before clipping.
    public var gradientNorm: Double
    /// Seconds of training since the beginning of the run, held-out losses and checkpoints included, pauses between a stop and
    /// its resumption not.
    public var seconds: Double
    /// The speed of this step alone.
    public var tokensPerSecond: Double
    /// Floating-point operations of training since the beginning of the run.
    public var flops: Double
    /// The mean loss on held-out windows after the update, where it was measured.
    public var heldOutLoss: Double?
    /// The steps so far that changed nothing, where there were any; the line of such a step is a ``SkippedStep``.
    public var skipped: Int?
    /// The parts of a card's peak, in dense bfloat16, that the products with weights and those with states came to in this step: their sum
    /// is the model FLOP utilization. Operations are those of the model, however often they are done.
    public var weightUtilization: Double?
    public var stateUtilization: Double?
    /// Bytes of a card's memory that were in use at most.
    public var memory: Int?

    private enum CodingKeys: String, CodingKey {
        case step, tokens, loss, seconds, flops, skipped, memory
        case learningRate = "learning_rate"
        case gradientNorm = "gradient_norm"
        case tokensPerSecond = "tokens_per_second"
        case heldOutLoss = "held_out_loss"
        case weightUtilization = "weight_utilization"
        case stateUtilization = "state_utilization"
    }
}
