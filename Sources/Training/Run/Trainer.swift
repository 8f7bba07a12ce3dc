import CUDABackend
import CUDARuntime
public import LanguageModel
public import Logging
public import PowerAttention
public import Tensors

/// Trains a model and keeps the folder of the run.
///
/// Everything is a function of the configuration and the text: the same run on the same machine gives the same losses and
/// weights bit for bit, in one piece or resumed from any of its checkpoints, except where cuDNN computes exponential attention on a card,
/// whose gradients differ in their last bits from run to run. ``RunStore`` describes the files.
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

    /// Bytes of the card's memory that the run is expected to take, and that the card has; `nil` on the CPU.
    public let expectedMemory: (run: Int, card: Int)?
    private let runner: any StepRunner
    private let heldOut: Evaluator?
    private let metrics: MetricsLog
    private let lock: RunLock
    private let cost: StepCost
    private let device: Device
    /// Operations of matrix products a second that the device is capable of, where that is known.
    private let peakFLOPS: Double?
    /// Steps that were begun and are not finished yet.
    private var underWay = 0
    /// Steps that changed nothing, in all and in a row.
    private var skipped = 0
    private var skippedInARow = 0
    /// When the step that is finished next had the machine for itself.
    private var mark = 0.0
    private let logger: Logger
    private var tokens = 0
    private var seconds = 0.0
    private var flops = 0.0
    private var checkpointStep: Int?

    /// Prepares the folder and the model: new ones, or those of the newest complete checkpoint. Where another process trains in the folder, or
    /// has been killed while it did, up to ten seconds are waited for its end.
    ///
    /// - Throws: `invalidArgument` where the configuration is illegal, where the folder is not empty and `mode` is new, and
    ///   where a resumed run's configuration differs from the one that is there, which the error names;
    ///   `inputOutput` and `damagedFile` where files cannot be read or written; `unsupported` where there is no such device, and
    ///   `outOfMemory` where it has no room.
    public init(
        _ configuration: RunConfiguration, data: TrainingData, store: RunStore, mode: RunMode, device: Device = .cpu,
        logger: Logger
    ) throws(PowerAttentionError) {
        try configuration.validate()
        let training = configuration.training
        let batches = try BatchSequence(data.ring, training)
        heldOut = try data.heldOutEvaluator(training)
        cost = try configuration.cost(on: device)

        let resumes = mode == .resume && store.exists
        if !resumes { try store.create(overwrite: mode == .overwrite) }
        lock = try RunLock(store.path) { logger.info("\(store.path): waiting for another process that trains in it to end") }
        // What was waited for may be a run that began at the same time.
        if !resumes { try store.create(overwrite: mode == .overwrite) }
        if mode == .overwrite { try store.removeRun() }
        try store.removeLeftovers()
        let checkpoint = resumes ? try store.checkpoints.prepareToResume(logger) : nil
        if resumes {
            if let checkpoint {
                try configuration.checkContinues(checkpoint.state.configuration, source: checkpoint.path)
            } else {
                try configuration.checkContinues(try store.readConfiguration(), source: store.configurationPath)
            }
        }
        // A weight and two moments in float32.
        try Folder.checkRoom(in: store.path, for: 12 * configuration.model.parameterCount, "a checkpoint")
        model = try configuration.makeModel(device: device)
        self.device = device
        var optimizer = Optimizer(model.parameters)
        var norms = NormHistory()
        if let checkpoint {
            try checkpoint.loadWeights(into: model)
            optimizer = try checkpoint.loadOptimizer(for: model)
            step = checkpoint.state.step
            tokens = checkpoint.state.tokens
            seconds = checkpoint.state.seconds
            flops = checkpoint.state.flops
            skipped = checkpoint.state.skipped ?? 0
            norms = checkpoint.state.norms ?? norms
            checkpointStep = step
        }
        if let layers = model.kernels as? CUDALayers {
            runner = try DeviceStepRunner(model, layers, optimizer, norms, batches, training)
            peakFLOPS = layers.context.properties.bfloat16FLOPS
            let card = layers.context.properties
            let backend = try CUDABackend.shared()
            let estimate = try DeviceMemoryEstimate(
                configuration, on: CardLimits(card), heldOut: heldOut.map { ($0.windows.starts.count, $0.windows.context) }
            ) { (plan) throws(PowerAttentionError) in try backend.usesLibrary(plan) }
            expectedMemory = (estimate.total, card.totalMemory)
        } else {
            runner = HostStepRunner(model, optimizer, norms, batches, training)
            peakFLOPS = nil
            expectedMemory = nil
        }
        try store.writeJSON(try configuration.value(), to: store.configurationPath)
        metrics = try MetricsLog(store.metricsPath, continuingAfter: step)
        self.configuration = configuration
        self.store = store
        self.logger = logger
    }

    /// Trains until all steps are done or `shouldStop` says so, which is asked after every step.
    ///
    /// A step whose loss or gradients are not finite, or whose gradients are a spike, changes nothing: it is skipped, reported to the
    /// logger with the layer where numbers went out of range first, and counted, and gets a line of its own among the metrics.
    ///
    /// - Parameter onStep: called for every step that changed something.
    /// - Throws: `nonFinite` where more steps in a row were skipped than the configuration allows; `inputOutput` where a file cannot be
    ///   written. Checkpoints that were there stay as they are.
    public func run(
        onStep: (StepRecord) -> Void = { _ in }, shouldStop: () -> Bool = { false }
    ) throws(PowerAttentionError) -> Outcome {
        let training = configuration.training
        let clock = Stopwatch(secondsBefore: seconds)
        var wantsStop = false
        while step < training.steps {
            wantsStop = wantsStop || shouldStop()
            if wantsStop, underWay == 0 {
                try writeCheckpoint()
                return .stopped
            }
            if underWay == 0 { mark = clock.seconds }
            // The next step's work is given to a device before this one's numbers are read.
            while !wantsStop, underWay < runner.depth, step + underWay < training.steps, !endsStretch(step + underWay) {
                try runner.begin(step + underWay + 1)
                underWay += 1
            }
            let line = try finishStep(clock)
            try metrics.append(line)
            if case .step(let record) = line { onStep(record) }
            if step.isMultiple(of: training.checkpointInterval), underWay == 0 { try writeCheckpoint() }
        }
        try writeCheckpoint()
        return .finished
    }

    /// Whether something has to happen after a step that is being worked on before the next one may change the parameters.
    private func endsStretch(_ last: Int) -> Bool {
        guard underWay > 0 else { return false }
        return last.isMultiple(of: configuration.training.checkpointInterval) || measuresHeldOut(last)
    }

    private func measuresHeldOut(_ step: Int) -> Bool {
        let interval = configuration.training.evaluationInterval
        return heldOut != nil && interval > 0 && (step.isMultiple(of: interval) || step == configuration.training.steps)
    }

    /// Waits for a step, and says what it did.
    private func finishStep(_ clock: Stopwatch) throws(PowerAttentionError) -> MetricsLine {
        let training = configuration.training
        let outcome = try runner.finish()
        underWay -= 1
        step += 1
        tokens += training.tokensPerStep
        flops += cost.flops
        let end = clock.seconds
        let duration = max(end - mark, 1e-9)
        mark = end
        defer { seconds = clock.seconds }
        if let fault = outcome.fault {
            skipped += 1
            skippedInARow += 1
            let record = SkippedStep(
                step: step, tokens: tokens, seconds: end, skipped: skipped, reason: fault.reason, loss: outcome.loss,
                gradientNorm: outcome.norm, first: fault.first)
            guard skippedInARow <= training.skipLimit else {
                try metrics.append(.skipped(record))
                throw Self.diverged(step, fault.description)
            }
            logger.warning("step \(step) changes nothing (\(skippedInARow) in a row, \(skipped) in all): \(fault)")
            return .skipped(record)
        }
        skippedInARow = 0
        var record = StepRecord(
            step: step, tokens: tokens, loss: outcome.loss, learningRate: LearningRateSchedule(training).rate(at: step),
            gradientNorm: outcome.norm, seconds: end,
            tokensPerSecond: Double(training.tokensPerStep) / duration, flops: flops)
        if skipped > 0 { record.skipped = skipped }
        record.memory = runner.peakMemory
        if let peakFLOPS {
            record.weightUtilization = cost.weightFLOPs / duration / peakFLOPS
            record.stateUtilization = cost.stateFLOPs / duration / peakFLOPS
        }
        if measuresHeldOut(step), let heldOut {
            record.heldOutLoss = try heldOut.meanLoss(model)
            record.seconds = clock.seconds
        }
        return .step(record)
    }

    private static func diverged(_ step: Int, _ given: String) -> PowerAttentionError {
        PowerAttentionError(
            .nonFinite, argument: "step \(step)", given: given,
            expected: "finite numbers: a lower learning rate may help; the last checkpoint is kept")
    }

    /// Bytes of the card's memory that were in use at most; `nil` on the CPU.
    public var peakMemory: Int? { runner.peakMemory }

    /// The moments of the optimizer as they are on disk.
    package func optimizerFile() throws(PowerAttentionError) -> SafetensorsFile { try runner.optimizerFile() }

    private func writeCheckpoint() throws(PowerAttentionError) {
        guard checkpointStep != step else { return }
        try metrics.synchronize()
        let state = CheckpointState(
            step: step, tokens: tokens, seconds: seconds, flops: flops, skipped: skipped, norms: try runner.history(),
            device: device, configuration: try configuration.value())
        let files = [
            Checkpoint.modelName: try model.weights(), Checkpoint.optimizerName: try optimizerFile(),
        ]
        try store.checkpoints.write(state, files, keeping: configuration.training.checkpointsKept)
        checkpointStep = step
        logger.debug("checkpoint \(store.checkpoints.path(of: step))")
    }
}
