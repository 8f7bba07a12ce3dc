import ArgumentParser
import Training

/// The flags of the section `[training]`.
struct TrainingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Updates in the whole run.", valueName: "n")) var steps: Int?
    @Option(help: ArgumentHelp("Windows a step.", valueName: "n")) var batchSize: Int?
    @Option(help: ArgumentHelp("Parts that a step's batch is cut into, to save memory.", valueName: "n"))
    var accumulation: Int?
    @Option(help: ArgumentHelp("Tokens a window.", valueName: "n")) var context: Int?
    @Option(help: ArgumentHelp("Learning rate after the warm-up.", valueName: "x")) var learningRate: Double?
    @Option(help: ArgumentHelp("Learning rate at the end, as a part of --learning-rate.", valueName: "x"))
    var minimumRatio: Double?
    @Option(help: ArgumentHelp("Steps over which the learning rate rises.", valueName: "n")) var warmupSteps: Int?
    @Option(help: ArgumentHelp("Decoupled weight decay, on matrices.", valueName: "x")) var weightDecay: Double?
    @Option(help: ArgumentHelp("Decay of AdamW's first moment.", valueName: "x")) var beta1: Double?
    @Option(help: ArgumentHelp("Decay of AdamW's second moment.", valueName: "x")) var beta2: Double?
    @Option(help: ArgumentHelp("AdamW's epsilon.", valueName: "x")) var epsilon: Double?
    @Option(help: ArgumentHelp("Largest norm of the gradients; 0 for any.", valueName: "x")) var gradientClip: Double?
    @Option(
        help: ArgumentHelp("Times the mean norm of gradients that is a spike, which is skipped; 0 for none.", valueName: "x"))
    var spikeFactor: Double?
    @Option(help: ArgumentHelp("Steps in a row that may be skipped before the run ends.", valueName: "n"))
    var skipLimit: Int?
    @Flag(
        inversion: .prefixedNo,
        help: "Compute activations inside of blocks again for the backward pass instead of keeping them.")
    var recomputation: Bool?
    @Option(help: ArgumentHelp("Source of the initial weights and of the order of the text.", valueName: "n")) var seed: Int?
    @Option(help: ArgumentHelp("Steps between two checkpoints.", valueName: "n")) var checkpointInterval: Int?
    @Option(help: ArgumentHelp("Checkpoints that stay.", valueName: "n")) var checkpointsKept: Int?
    @Option(help: ArgumentHelp("Steps between two held-out losses; 0 for none.", valueName: "n"))
    var evaluationInterval: Int?
    @Option(help: ArgumentHelp("Windows of a held-out loss.", valueName: "n")) var evaluationWindows: Int?

    var table: [String: ConfigurationValue] {
        [
            "steps": .init(steps), "batch_size": .init(batchSize), "accumulation": .init(accumulation),
            "context": .init(context), "learning_rate": .init(learningRate), "minimum_ratio": .init(minimumRatio),
            "warmup_steps": .init(warmupSteps), "weight_decay": .init(weightDecay), "beta1": .init(beta1),
            "beta2": .init(beta2), "epsilon": .init(epsilon), "gradient_clip": .init(gradientClip),
            "spike_factor": .init(spikeFactor),
            "skip_limit": .init(skipLimit), "recomputation": .init(recomputation), "seed": .init(seed),
            "checkpoint_interval": .init(checkpointInterval), "checkpoints_kept": .init(checkpointsKept),
            "evaluation_interval": .init(evaluationInterval), "evaluation_windows": .init(evaluationWindows),
        ].compactMapValues { $0 }
    }
}
