import ArgumentParser
import CUDARuntime
import Foundation
import LanguageModel
import PowerAttention
import Tensors
import Training

/// `power train`: trains a language model and keeps the folder of the run.
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a language model.",
        discussion: """
            Values come from the configuration file; flags override them; what neither gives has a default. The folder of the \
            run gets config.json (the configuration with every choice made), metrics.jsonl (a line a step), and checkpoints/.

            The first SIGINT (Ctrl-C) or SIGTERM finishes the step, writes a checkpoint and exits with status 130 or 143; a \
            second one exits at once. --resume goes on from the newest complete checkpoint, bit for bit as if nothing had \
            happened, also after a crash; where no run has begun it begins one. The exception is --mixer exponential on a card \
            where cuDNN computes it: its gradients differ in their last bits from run to run, and so do a resumed run's numbers; \
            with POWER_CUDNN=off they do not.

            A step whose loss or gradients are not finite, or whose gradients are a spike (--spike-factor), changes nothing: its \
            line says why, and what was not finite first.

            EXAMPLES
              power train --data austen --steps 500 -o runs/first
              power train configuration.toml --learning-rate 3e-4 -o runs/slow
              power train -o runs/slow --resume
              power train configuration.toml --mixer exponential -o runs/softmax
              power train configuration.toml --device cuda -o runs/fast

            CONFIGURATION
              tokenizer = "bytes"
              [model]
              layers = 4
              width = 256
              mixer = "power"
              degree = 2
              [data]
              path = "austen"
              [training]
              steps = 1000
              context = 1024

            Keys are the long flags with underscores; Examples/configuration.toml has all of them with their defaults. Unknown \
            keys are errors.
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Folder of the run (default: runs/ and the name of the configuration file, or runs/train).", valueName: "folder"),
        completion: .directory)
    var output: String?
    @Flag(help: "Go on with the run in the folder.") var resume = false
    @Flag(help: "Replace the run in the folder.") var overwrite = false
    @Flag(name: .shortAndLong, help: "Show no progress.") var quiet = false
    @Option(
        help: """
            Where to train: cpu, in float32, or cuda, the first NVIDIA card, with activations in bfloat16 (default: cpu; with --resume \
            where the run was). The run's folder is the same.
            """)
    var device: Device?
    @OptionGroup var options: ConfigurationOptions

    func validate() throws {
        if resume, overwrite {
            throw ValidationError("--resume keeps the run that is there and --overwrite removes it: give one.")
        }
    }

    func run() throws {
        let interruption = Interruption(message: "finishing the step, then writing a checkpoint; once more to stop at once")
        let store = RunStore(output ?? defaultOutput)
        let configuration = try configuration(store)
        let data = try TrainingData(configuration)
        let trainer = try Trainer(
            configuration, data: data, store: store, mode: resume ? .resume : overwrite ? .overwrite : .new,
            device: device ?? (resume ? store.checkpoints.device() : nil) ?? .cpu, logger: TerminalLog.logger)
        let terminal = Terminal.standardError
        if !quiet { terminal.line(trainer.introduction) }
        let progress = TrainingProgress(steps: configuration.training.steps)
        defer { progress.finish() }
        let outcome = try trainer.run { record in
            if !quiet { progress.report(record) }
        } shouldStop: {
            interruption.signal != nil
        }
        progress.finish()
        if !quiet {
            if let peak = trainer.peakMemory { terminal.line("at most \(MemoryReport.text(peak)) of the card's memory") }
            terminal.line("step \(trainer.step) is in \(store.checkpoints.path(of: trainer.step))")
        }
        if outcome == .stopped { try interruption.exitIfRequested() }
    }

    private var defaultOutput: String {
        let name = options.file.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent }
        return "runs/\(name ?? "train")"
    }

    private func configuration(_ store: RunStore) throws(PowerAttentionError) -> RunConfiguration {
        guard resume, options.file == nil, store.exists else { return try options.configuration() }
        return try options.configuration(base: (try store.readConfiguration(), store.configurationPath))
    }
}

extension Trainer {
    /// What is trained, in one line.
    var introduction: String {
        let (model, training) = (configuration.model, configuration.training)
        let beginning = step == 0 ? "" : " from step \(step)"
        return "\(store.path): \(TrainingProgress.grouped(Double(model.parameterCount))) parameters, "
            + "\(training.steps) steps of \(TrainingProgress.grouped(Double(training.tokensPerStep))) tokens\(beginning)"
            + memory
    }

    private var memory: String {
        guard let (run, card) = expectedMemory else { return "" }
        let advice = ", which is not enough: more --accumulation, --recomputation or a shorter --context take less"
        return ", about \(MemoryReport.text(run)) of the card's \(MemoryReport.text(card))" + (run > card ? advice : "")
    }
}
