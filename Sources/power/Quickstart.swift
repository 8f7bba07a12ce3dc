import Foundation
import LanguageModel
import Tensors
import Training

/// What the quickstart trains, and how its time is divided.
enum Quickstart {
    static let context = 1024
    static let scoredWindows = 256
    static let prompt = "It is a truth universally acknowledged, that"
    /// Tokens of the sample.
    static let sampleLength = 500

    /// A model of 1.2M parameters.
    static func configuration(seed: Int) -> RunConfiguration {
        var configuration = RunConfiguration()
        configuration.model = ModelConfiguration(
            vocabularySize: ByteTokenizer().vocabularySize, layers: 4, width: 160, heads: 5, mixer: .power(degree: 2))
        configuration.training.batchSize = 4
        configuration.training.context = context
        configuration.training.learningRate = 3e-3
        configuration.training.minimumRatio = 0.05
        configuration.training.evaluationWindows = 8
        configuration.training.seed = seed
        return configuration
    }

    static func setSteps(_ steps: Int, in configuration: inout RunConfiguration) {
        configuration.training.steps = steps
        configuration.training.warmupSteps = min(100, steps / 10)
        configuration.training.evaluationInterval = max(1, steps / evaluations)
        configuration.training.checkpointInterval = max(1, steps / 4)
    }

    /// Held-out losses in a run.
    private static let evaluations = 20

    /// As many steps as fit into `seconds`, together with the held-out losses, the final score, and the sample and the page.
    static func setSteps(_ speed: Calibration, seconds: Double, in configuration: inout RunConfiguration) {
        let windows = evaluations * configuration.training.evaluationWindows + scoredWindows
        let others = Double(windows) * speed.secondsPerWindow + 5
        let steps = Int(min(1e6, max(20, (seconds - others) / speed.secondsPerStep)))
        setSteps(steps, in: &configuration)
    }

    /// `runs/quickstart`, or with the first number after it that is free.
    static func freeFolder() throws(PowerAttentionError) -> String {
        let path = "runs/quickstart"
        var candidate = path
        var number = 1
        while try !Folder.names(in: candidate).isEmpty {
            number += 1
            candidate = "\(path)-\(number)"
        }
        return candidate
    }

    /// What to look at and what to try next.
    static func farewell(_ store: RunStore) -> String {
        let isBuilt = (CommandLine.arguments.first ?? "").contains("/.build")
        let power = isBuilt ? "swift run -c release power" : "power"
        return """
            Everything is in \(store.path); look at \(store.reportPath) in a browser. Try next:

              # let it write, from your own words
              \(power) generate \(store.path) --prompt "Mr. Darcy" --temperature 0.7
              # contexts eight times as long as the one it was trained on
              \(power) eval \(store.path) --context \(8 * context) -o long.json
              # the same with softmax attention, and both on one page
              \(power) train \(store.configurationPath) --mixer exponential -o \(store.path)-softmax
              \(power) eval \(store.path)-softmax && \(power) report \(store.path) \(store.path)-softmax
            """
    }
}
