import BackendInterface
public import LanguageModel
public import Logging
public import Tensors

/// Trains a model and keeps the folder of the run.
///
/// Everything is a function of the configuration and the text: the same run on the same machine gives the same losses and
/// weights bit for bit, in one piece or resumed from any of its checkpoints. ``RunStore`` describes the files.
///
/// ```swift
/// let trainer = try Trainer(configuration, data: data, store: RunStore("runs/first"), mode: .new, logger: logger)
/// let outcome = try trainer.run { record in print(record.step, record.loss) }
/// ```
public final class Trainer {
    /// How a run ended.
    public enum Outcome: Sendable, Hashable {
        /// All steps are done.
        case finished
        /// It was asked to stop; the last step is in a checkpoint.
        case stopped
    }

    public let configuration: RunConfiguration
    public let store: RunStore
    public let model: LanguageModel
    /// The step that the run stands at; 0 before the first.
    public private(set) var step = 0

    package private(set) var optimizer: Optimizer
    private let batches: BatchSequence
    private let heldOut: Evaluator?
    private let metrics: MetricsLog
    private let lock: RunLock
    private let flopsPerStep: Double
    private let logger: Logger
    private var tokens = 0
    private var seconds = 0.0
    private var flops = 0.0
    private var checkpointStep: Int?

    /// Prepares the folder and the model: new ones, or those of the newest complete checkpoint.
    ///
    /// - Throws: `invalidArgument` where the configuration is illegal, where the folder is not empty and `mode` is new, and
    ///   where a resumed run's configuration differs from the one that is there, which the error names;
    ///   `inputOutput` and `damagedFile` where files cannot be read or written.
    public init(
        _ configuration: RunConfiguration, data: TrainingData, store: RunStore, mode: RunMode, logger: Logger
    ) throws(PowerAttentionError) {
        try configuration.validate()
        let training = configuration.training
        batches = try BatchSequence(data.ring, training)
        heldOut = try data.heldOutEvaluator(training)
        flopsPerStep = try configuration.flopsPerStep()

        let resumes = mode == .resume && store.exists
        if !resumes { try store.create(overwrite: mode == .overwrite) }
        lock = try RunLock(store.path)
        try store.removeLeftovers()
        let checkpoint = resumes ? try store.checkpoints.prepareToResume(logger) : nil
        if resumes {
            if let checkpoint {
                try configuration.checkContinues(checkpoint.state.configuration, source: checkpoint.path)
            } else {
                try configuration.checkContinues(try store.readConfiguration(), source: store.configurationPath)
            }
        }
        model = try configuration.makeModel()
        optimizer = Optimizer(model.parameters)
        if let checkpoint {
            try checkpoint.loadWeights(into: model)
            optimizer = try checkpoint.loadOptimizer(for: model)
            step = checkpoint.state.step
            tokens = checkpoint.state.tokens
            seconds = checkpoint.state.seconds
            flops = checkpoint.state.flops
            checkpointStep = step
        }
        try store.writeJSON(try configuration.value(), to: store.configurationPath)
        metrics = try MetricsLog(store.metricsPath, continuingAfter: step)
        self.configuration = configuration
        self.store = store
        self.logger = logger
    }

    /// Trains until all steps are done or `shouldStop` says so, which is asked after every step.
    ///
    /// - Throws: `nonFinite` where the loss or the gradients are no longer finite numbers, with the step, before the weights
    ///   are touched; `inputOutput` where a file cannot be written. Checkpoints that were there stay as they are.
    public func run(
        onStep: (StepRecord) -> Void = { _ in }, shouldStop: () -> Bool = { false }
    ) throws(PowerAttentionError) -> Outcome {
        let training = configuration.training
        let clock = Stopwatch(secondsBefore: seconds)
        while step < training.steps {
            if shouldStop() {
                try writeCheckpoint()
                return .stopped
            }
            let record = try trainOneStep(clock)
            try metrics.append(record)
            onStep(record)
            if step.isMultiple(of: training.checkpointInterval) { try writeCheckpoint() }
        }
        try writeCheckpoint()
        return .finished
    }

    private func trainOneStep(_ clock: Stopwatch) throws(PowerAttentionError) -> StepRecord {
        let training = configuration.training
        let next = step + 1
        let begin = clock.seconds
        let loss = try accumulateGradients(step: next)
        let norm = Optimizer.gradientNorm(model.parameters, model.kernels)
        guard loss.isFinite, norm.isFinite else {
            throw Self.diverged(next, "a loss of \(loss) and a gradient norm of \(norm)")
        }
        let rate = LearningRateSchedule(training).rate(at: next)
        optimizer.update(
            model.parameters, learningRate: rate,
            gradientScale: Optimizer.clippingScale(norm: norm, limit: training.gradientClip), training, model.kernels)
        model.zeroGradients()
        let end = clock.seconds

        step = next
        tokens += training.tokensPerStep
        flops += flopsPerStep
        var record = StepRecord(
            step: step, tokens: tokens, loss: loss, learningRate: rate, gradientNorm: norm, seconds: end,
            tokensPerSecond: Double(training.tokensPerStep) / max(end - begin, 1e-9), flops: flops)
        let interval = training.evaluationInterval
        if let heldOut, interval > 0, step.isMultiple(of: interval) || step == training.steps {
            record.heldOutLoss = try heldOut.meanLoss(model)
            record.seconds = clock.seconds
        }
        seconds = record.seconds
        return record
    }

    /// The mean loss of a step's batch, whose gradients are then in the model.
    private func accumulateGradients(step: Int) throws(PowerAttentionError) -> Double {
        let parts = configuration.training.accumulation
        var loss = 0.0
        for part in 0..<parts {
            let batch = try batches.batch(step: step, part: part)
            do throws(PowerAttentionError) {
                loss += try model.accumulateGradients(
                    batch.tokens, targets: batch.targets, batch: batch.rows, length: batch.length, scale: 1 / Double(parts))
            } catch  where error.code == .invalidArgument && !["tokens", "targets"].contains(error.argument) {
                // The shapes were right in the first step: what the operator refuses here are gates that are not numbers.
                throw Self.diverged(step, "activations that are not finite", cause: error)
            }
        }
        return loss / Double(parts)
    }

    private static func diverged(_ step: Int, _ given: String, cause: (any Error)? = nil) -> PowerAttentionError {
        PowerAttentionError(
            .nonFinite, argument: "step \(step)", given: given,
            expected: "finite numbers: a lower learning rate may help; the last checkpoint is kept", cause: cause)
    }

    private func writeCheckpoint() throws(PowerAttentionError) {
        guard checkpointStep != step else { return }
        try metrics.synchronize()
        let state = CheckpointState(
            step: step, tokens: tokens, seconds: seconds, flops: flops,
            configuration: try configuration.value())
        let files = [
            Checkpoint.modelName: model.file, Checkpoint.optimizerName: optimizer.file(model.parameters),
        ]
        try store.checkpoints.write(state, files, keeping: configuration.training.checkpointsKept)
        checkpointStep = step
        logger.debug("checkpoint \(store.checkpoints.path(of: step))")
    }
}
