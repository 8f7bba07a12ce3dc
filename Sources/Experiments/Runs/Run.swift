public import Training

/// What a training run left in its folder: the configuration, a line of metrics a step, and, where they have been written, the
/// evaluation over positions and a sample of text.
///
/// ```swift
/// let runs = [try Run(path: "runs/power"), try Run(path: "runs/softmax")]
/// try Report(runs: runs).write(to: "comparison.html")
/// ```
public struct Run: Sendable {
    /// The folder, as it was given.
    public let path: String
    /// The last component of the path: what the run is called in reports.
    public let name: String
    /// `config.json`.
    package let configuration: ConfigurationValue
    /// The steps of `metrics.jsonl` that changed something, in their order.
    public let steps: [StepRecord]
    /// Those that changed nothing, where the run wrote them down.
    public let skippedSteps: [SkippedStep]
    /// `eval.json`, where there is one.
    public let evaluation: InContextCurve?
    /// `sample.json`, where there is one.
    public let sample: Sample?

    package init(
        path: String, name: String, configuration: ConfigurationValue, steps: [StepRecord], skippedSteps: [SkippedStep] = [],
        evaluation: InContextCurve?, sample: Sample?
    ) {
        self.path = path
        self.name = name
        self.configuration = configuration
        self.steps = steps
        self.skippedSteps = skippedSteps
        self.evaluation = evaluation
        self.sample = sample
    }

    /// `sample.json`: a prompt and the model's continuation of it.
    public struct Sample: Sendable, Hashable, Decodable {
        public let prompt: String
        public let text: String
    }
}

extension Run {
    /// The name of the tokenizer; losses of runs with different tokenizers do not compare token by token.
    package var tokenizer: String? { configuration["tokenizer"]?.string }

    /// Whether a token is a byte, so that nats a token are bits a byte times ln 2.
    package var isByteLevel: Bool { tokenizer == "bytes" }

    package var parameterCount: Int? { configuration["parameters"]?.integer }

    /// The sequence mixer in words: "power attention, degree 2, gated".
    package var mixer: String? {
        guard let model = configuration["model"], let mixer = model["mixer"]?.string else { return nil }
        let settings = ["degree", "window"].compactMap { key in model[key]?.integer.map { "\(key) \(NumberFormat.grouped($0))" }
        }
        let gates = model["gated"] == .boolean(true) ? ["gated"] : []
        return (["\(mixer) attention"] + settings + gates).joined(separator: ", ")
    }

    /// The number of steps that changed nothing, also of runs that only counted them.
    package var skippedCount: Int { max(steps.last?.skipped ?? 0, skippedSteps.last?.skipped ?? 0) }

    /// The last held-out loss of the training run.
    package var heldOutLoss: Double? { steps.last { $0.heldOutLoss != nil }?.heldOutLoss }
}
