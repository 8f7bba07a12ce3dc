import ArgumentParser
import Foundation
import PowerAttention
import Tensors
import Training

/// `power eval`: the in-context learning curve of a trained model.
struct EvalCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Score held-out text: the mean loss at each position of the context.",
        discussion: """
            Losses are in nats a token. Positions are binned evenly in their logarithm. The standard error is over windows, that \
            is over pieces of --context tokens that do not overlap, taken from as many documents as there are before a document \
            gives a second one. Contexts may be longer than the one trained on.

            EXAMPLES
              power eval runs/first
              power eval runs/first --context 8192 --windows 16 -o long.json
              power eval runs/first/checkpoints/step-00000500 --data other.tokens --json | jq .mean_loss
            """)

    @Argument(help: ArgumentHelp("Folder of a run, whose newest checkpoint is scored, or of a checkpoint.", valueName: "run"))
    var path: String
    @Option(help: ArgumentHelp("Text to score, instead of the run's: a token file, or austen.", valueName: "file"))
    var data: String?
    @Option(help: ArgumentHelp("Tokens a window (default: as in training).", valueName: "n")) var context: Int?
    @Option(help: ArgumentHelp("Held-out documents that are scored (default: all).", valueName: "n")) var documents: Int?
    @Option(help: ArgumentHelp("The largest number of windows.", valueName: "n")) var windows = 64
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Where the curve is written (default: eval.json in the folder).", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var output: String?
    @Option(help: "Where to score: cpu, or cuda, with activations in bfloat16.") var device = Device.cpu
    @Flag(help: "Print JSON instead of a table.") var json = false

    func validate() throws {
        for (name, value) in [("context", context), ("documents", documents), ("windows", windows)] where value ?? 1 < 1 {
            throw ValidationError("--\(name) must be at least 1.")
        }
    }

    func run() throws {
        let checkpoint = try Checkpoint(at: path)
        var configuration = try checkpoint.configuration()
        if let data { configuration.data.path = data }
        let text = try TrainingData(configuration)
        let windows = try HeldOutWindows(
            text.source, documents: Array(text.heldOut.prefix(documents ?? .max)),
            context: context ?? text.heldOutContext(configuration.training.context), limit: windows)
        let model = try checkpoint.loadModel(device: device)
        let terminal = Terminal.standardError
        defer { terminal.show("") }
        let curve = try Evaluator(windows).curve(model) { done in
            terminal.show("scored \(done) of \(windows.starts.count) windows")
            return true
        }
        terminal.show("")
        let store = RunStore(path)
        try store.writeJSON(curve, to: output ?? store.evaluationPath)
        print(json ? try curve.json() : curve.table)
    }
}
