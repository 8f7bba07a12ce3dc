public import Tensors

/// How a model is trained: the section `[training]` of a configuration.
///
/// A step draws `batchSize` windows of `context` tokens, in `accumulation` equal parts whose gradients are added up before the
/// one update. Everything that is random follows from `seed`.
public struct TrainingConfiguration: Sendable, Hashable {
    /// The number of updates in the whole run: where the learning rate reaches its minimum.
    public var steps = 1000
    /// Windows a step, in all parts together.
    public var batchSize = 8
    /// The number of parts that a step's batch is cut into, to save memory. It must divide `batchSize`.
    public var accumulation = 1
    /// Tokens a window.
    public var context = 1024

    /// The learning rate after the warm-up.
    public var learningRate = 1e-3
    /// The learning rate at the end, as a part of `learningRate`.
    public var minimumRatio = 0.1
    /// Steps over which the learning rate rises from zero.
    public var warmupSteps = 100
    /// Decoupled weight decay (Loshchilov, Hutter 2019), on matrices only.
    public var weightDecay = 0.1
    public var beta1 = 0.9
    public var beta2 = 0.95
    public var epsilon = 1e-8
    /// The largest norm of all gradients together; longer ones are scaled down. Zero turns clipping off.
    public var gradientClip = 1.0
    /// How many times the mean of the last norms of gradients is a spike, which updates nothing. Zero turns that off.
    public var spikeFactor = 0.0
    /// How many steps in a row may update nothing, because of a spike or of numbers that are not finite, before the run ends.
    public var skipLimit = 10
    /// Whether activations inside of blocks are computed again for the backward pass instead of kept: a quarter more work, in a fraction of
    /// the memory.
    public var recomputation = false
    /// The source of the initial weights and of the order of the windows.
    public var seed = 1

    /// Steps between two checkpoints; the last step is always one.
    public var checkpointInterval = 500
    /// How many of the newest checkpoints stay.
    public var checkpointsKept = 2
    /// Steps between two held-out losses; the last step is always scored. Zero turns them off.
    public var evaluationInterval = 100
    /// Windows a held-out loss is measured on.
    public var evaluationWindows = 8

    public init() {}

    /// Tokens a step.
    public var tokensPerStep: Int { batchSize * context }
}

extension TrainingConfiguration: ConfigurationSection {
    package static let sectionName = "training"

    package static var fields: [ConfigurationField<Self>] {
        [
            .integer("steps", \.steps),
            .integer("batch_size", \.batchSize),
            .integer("accumulation", \.accumulation),
            .integer("context", \.context),
            .number("learning_rate", \.learningRate),
            .number("minimum_ratio", \.minimumRatio),
            .integer("warmup_steps", \.warmupSteps),
            .number("weight_decay", \.weightDecay),
            .number("beta1", \.beta1),
            .number("beta2", \.beta2),
            .number("epsilon", \.epsilon),
            .number("gradient_clip", \.gradientClip),
            .number("spike_factor", \.spikeFactor),
            .integer("skip_limit", \.skipLimit),
            .boolean("recomputation", \.recomputation),
            .integer("seed", \.seed),
            .integer("checkpoint_interval", \.checkpointInterval),
            .integer("checkpoints_kept", \.checkpointsKept),
            .integer("evaluation_interval", \.evaluationInterval),
            .integer("evaluation_windows", \.evaluationWindows),
        ]
    }

    /// The keys that a resumed run may change: they decide what is written down, not what is computed.
    package static let resumableKeys: Set<String> = [
        "checkpoint_interval", "checkpoints_kept", "evaluation_interval", "evaluation_windows", "skip_limit", "recomputation",
    ]

    /// - Throws: `invalidArgument` that names the first value outside of what is legal.
    public func validate() throws(PowerAttentionError) {
        try check("steps", steps, 1...Self.largest)
        try check("batch_size", batchSize, 1...1 << 20)
        try check("accumulation", accumulation, 1...batchSize)
        guard batchSize.isMultiple(of: accumulation) else {
            throw .illegal("accumulation", "\(accumulation)", "a divisor of batch_size, \(batchSize)")
        }
        try check("context", context, 1...1 << 24)
        try check("learning_rate", learningRate, 0...10)
        try check("minimum_ratio", minimumRatio, 0...1)
        try check("warmup_steps", warmupSteps, 0...Self.largest)
        try check("weight_decay", weightDecay, 0...10)
        try check("beta1", beta1, 0...0x1.fffffp-1)
        try check("beta2", beta2, 0...0x1.fffffp-1)
        try check("epsilon", epsilon, Double.leastNormalMagnitude...1)
        try check("gradient_clip", gradientClip, 0...Double.greatestFiniteMagnitude)
        try check("spike_factor", spikeFactor, 0...Double.greatestFiniteMagnitude)
        try check("skip_limit", skipLimit, 0...Self.largest)
        try check("seed", seed, 0...Int.max)
        try check("checkpoint_interval", checkpointInterval, 1...Self.largest)
        try check("checkpoints_kept", checkpointsKept, 1...Self.largest)
        try check("evaluation_interval", evaluationInterval, 0...Self.largest)
        try check("evaluation_windows", evaluationWindows, 1...Self.largest)
    }

    /// Folders of checkpoints are numbered with eight digits.
    private static let largest = 99_999_999

    private func check<Value: Comparable>(
        _ key: String, _ value: Value, _ legal: ClosedRange<Value>
    ) throws(PowerAttentionError) {
        guard legal.contains(value) else {
            throw .illegal(key, "\(value)", "\(legal.lowerBound) to \(legal.upperBound)")
        }
    }
}

extension PowerAttentionError {
    fileprivate static func illegal(_ key: String, _ given: String, _ expected: String) -> PowerAttentionError {
        PowerAttentionError(argument: "training.\(key)", given: given, expected: expected)
    }
}
