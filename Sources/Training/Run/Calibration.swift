import CPUBackend
import LanguageModel
public import Tensors

/// How fast this machine trains a configuration, measured with throw-away steps on a model that is not kept.
public struct Calibration: Sendable, Hashable {
    /// The time of one step, without held-out losses and checkpoints.
    public let secondsPerStep: Double
    /// The time of scoring one held-out window.
    public let secondsPerWindow: Double

    /// Trains for about `seconds`, at least three steps; the first one, which fills caches, does not count.
    public init(
        _ configuration: RunConfiguration, data: TrainingData, seconds: Double
    ) throws(PowerAttentionError) {
        let training = configuration.training
        let model = try configuration.makeModel()
        var optimizer = Optimizer(model.parameters)
        let batches = try BatchSequence(data.ring, training)
        let clock = Stopwatch(secondsBefore: 0)
        var times: [Double] = []
        while times.count < 3 || clock.seconds < seconds {
            let begin = clock.seconds
            for part in 0..<training.accumulation {
                let batch = try batches.batch(step: times.count + 1, part: part)
                _ = try model.accumulateGradients(
                    batch.tokens, targets: batch.targets, batch: batch.rows, length: batch.length)
            }
            optimizer.update(model.parameters, learningRate: 0, gradientScale: 1, training, CPUBackend())
            try model.zeroGradients()
            times.append(clock.seconds - begin)
        }
        let sorted = times.dropFirst().sorted()
        secondsPerStep = sorted[sorted.count / 2]

        let begin = clock.seconds
        let evaluator = try data.heldOutEvaluator(training)
        _ = try evaluator?.meanLoss(model)
        secondsPerWindow = (clock.seconds - begin) / Double(evaluator?.windows.starts.count ?? 1)
    }
}
