import BackendInterface
import CPUBackend
import LanguageModel
import Tensors

/// Training steps on the processor, one after the other.
final class HostStepRunner: StepRunner {
    private let model: LanguageModel
    private let batches: BatchSequence
    private let configuration: TrainingConfiguration
    private let kernels = CPUBackend()
    private var optimizer: Optimizer
    private var norms: NormHistory
    private var begun: Int?

    init(
        _ model: LanguageModel, _ optimizer: Optimizer, _ norms: NormHistory, _ batches: BatchSequence,
        _ configuration: TrainingConfiguration
    ) {
        self.model = model
        self.optimizer = optimizer
        self.norms = norms
        self.batches = batches
        self.configuration = configuration
    }

    let depth = 1
    let peakMemory: Int? = nil

    func begin(_ step: Int) { begun = step }

    func finish() throws(PowerAttentionError) -> StepOutcome {
        guard let step = begun else { preconditionFailure("no step was begun") }
        begun = nil
        let loss = try accumulateGradients(step)
        let norm = Optimizer.gradientNorm(model.parameters, kernels)
        if var fault = norms.fault(norm: norm, loss: loss, spike: configuration.spikeFactor) {
            if fault.reason == .notFinite { fault.first = try firstFault(step) }
            optimizer.skip()
            try model.zeroGradients()
            return StepOutcome(loss: loss, norm: norm, fault: fault)
        }
        optimizer.update(
            model.parameters, learningRate: LearningRateSchedule(configuration).rate(at: step),
            gradientScale: Optimizer.clippingScale(norm: norm, limit: configuration.gradientClip), configuration, kernels)
        try model.zeroGradients()
        return StepOutcome(loss: loss, norm: norm)
    }
}

extension HostStepRunner {
    func history() -> NormHistory { norms }

    func optimizerFile() -> SafetensorsFile { optimizer.file(model.parameters) }

    /// The mean loss of a step's batch, whose gradients are then in the model.
    private func accumulateGradients(_ step: Int) throws(PowerAttentionError) -> Double {
        let parts = configuration.accumulation
        var loss = 0.0
        for part in 0..<parts {
            let batch = try batches.batch(step: step, part: part)
            do throws(PowerAttentionError) {
                loss += try model.accumulateGradients(
                    batch.tokens, targets: batch.targets, batch: batch.rows, length: batch.length, scale: 1 / Double(parts))
            } catch  where error.code == .invalidArgument && !["tokens", "targets"].contains(error.argument) {
                // The shapes were right in the first step: what the operator refuses here are gates that are not numbers.
                return .nan
            }
        }
        return loss / Double(parts)
    }

    /// What is not finite first, in any part of a step's batch, whose gradients are in the model.
    private func firstFault(_ step: Int) throws(PowerAttentionError) -> String? {
        for part in 0..<configuration.accumulation {
            let batch = try batches.batch(step: step, part: part)
            if let name = try model.firstFault(batch.tokens, batch: batch.rows, length: batch.length) { return name }
        }
        return nil
    }
}
