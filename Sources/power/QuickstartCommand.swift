import ArgumentParser
import Experiments
import Foundation
import Inference
import LanguageModel
import Tensors
import Training

/// `power quickstart`: from nothing to a trained model, its curves and a sample, in minutes.
struct QuickstartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quickstart",
        abstract:
            "Train a small power-attention model on the Austen novels, score it, let it write, and show it all on one page.",
        discussion: """
            The model reads bytes and has gates and power attention of degree 2. The speed of this machine is measured first, and \
            the number of steps is chosen so that everything fits into --minutes.

            EXAMPLES
              power quickstart
              power quickstart --minutes 20 -o runs/longer
              power quickstart --steps 20
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Folder of the run (default: runs/quickstart, or a number after it).", valueName: "folder"),
        completion: .directory)
    var output: String?
    @Option(help: ArgumentHelp("Time for everything.", valueName: "m")) var minutes = 4.0
    @Option(
        help: ArgumentHelp(
            "Train this many steps, however long they take, and score no more windows than that.", valueName: "n")) var steps:
        Int?
    @Option(help: ArgumentHelp("Source of the initial weights, of the order of the text and of the sample.", valueName: "n"))
    var seed = 1
    @Flag(help: "Replace the run in the folder.") var overwrite = false

    func validate() throws {
        guard minutes > 0, minutes <= 10_000 else { throw ValidationError("--minutes must be above 0 and at most 10000.") }
        guard steps ?? 1 >= 1 else { throw ValidationError("--steps must be at least 1.") }
        guard seed >= 0 else { throw ValidationError("--seed must be at least 0.") }
    }

    func run() throws {
        let start = ContinuousClock.now
        let interruption = Interruption(message: "finishing the step, then writing a checkpoint; once more to stop at once")
        let terminal = Terminal.standardError
        defer { terminal.show("") }
        let store = RunStore(try output ?? Quickstart.freeFolder())
        var configuration = Quickstart.configuration(seed: seed)
        let data = try TrainingData(configuration)
        if let steps {
            Quickstart.setSteps(steps, in: &configuration)
        } else {
            terminal.show("measuring the speed of this machine")
            let calibration = try Calibration(configuration, data: data, seconds: 4)
            terminal.show("")
            let left = minutes * 60 - (ContinuousClock.now - start) / .seconds(1)
            Quickstart.setSteps(calibration, seconds: left, in: &configuration)
        }
        try interruption.exitIfRequested()

        let trainer = try Trainer(
            configuration, data: data, store: store, mode: overwrite ? .overwrite : .new, logger: TerminalLog.logger)
        terminal.line(trainer.introduction)
        let progress = TrainingProgress(steps: configuration.training.steps)
        // The machine may turn out slower than it was when it was measured.
        let limit = steps == nil ? minutes * 60 * 1.1 : .infinity
        let outcome = try trainer.run {
            progress.report($0)
        } shouldStop: {
            interruption.signal != nil || (ContinuousClock.now - start) / .seconds(1) > limit
        }
        progress.finish()
        try interruption.exitIfRequested()
        interruption.end()
        if outcome == .stopped {
            terminal.line("out of time at step \(trainer.step); 'power train --resume -o \(store.path)' goes on")
        }

        var output = TextOutput()
        let curve = try score(trainer.model, data, store, terminal)
        try output.write(Array("\(curve.summary)\n\n".utf8))
        try writeSample(trainer.model, store, &output)
        try Report(runs: [try Run(path: store.path)]).write(to: store.reportPath)
        try output.write(Array("\n\n\(Quickstart.farewell(store))".utf8))
        try output.finish()
    }

    private func score(
        _ model: LanguageModel, _ data: TrainingData, _ store: RunStore, _ terminal: Terminal
    ) throws(PowerAttentionError) -> InContextCurve {
        let windows = try HeldOutWindows(
            data.source, documents: data.heldOut, context: Quickstart.context,
            limit: min(Quickstart.scoredWindows, steps ?? .max))
        let curve = try Evaluator(windows).curve(model) { done in
            terminal.show("scored \(done) of \(windows.starts.count) held-out windows")
            return true
        }
        terminal.show("")
        try store.writeJSON(curve, to: store.evaluationPath)
        return curve
    }

    /// Continues the prompt, showing the text as it comes.
    private func writeSample(_ model: LanguageModel, _ store: RunStore, _ output: inout TextOutput) throws {
        let tokenizer = ByteTokenizer()
        var generator = try Generator(model, SamplingOptions(temperature: 0.8, topP: 0.95, seed: UInt64(seed)))
        try generator.read(tokenizer.encode(Quickstart.prompt))
        try output.write(Array(Quickstart.prompt.utf8))
        var tokens: [Int32] = []
        try generator.stream(limit: Quickstart.sampleLength) { token in
            tokens.append(token)
            try output.write(tokenizer.bytes(of: [token]))
            return true
        }
        try store.writeJSON(["prompt": Quickstart.prompt, "text": try tokenizer.decode(tokens)], to: store.samplePath)
    }
}
