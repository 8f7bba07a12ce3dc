import ArgumentParser
import Foundation
import Inference
import LanguageModel
import PowerAttention
import Tensors

/// `power generate`: text from a trained model.
struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Continue a text with a trained model.",
        discussion: """
            The text appears on the standard output as it is made, until --tokens tokens or the end of a document. The prompt is \
            --prompt, the content of --prompt-file, or the standard input unless that is a terminal; without any, a new document \
            is begun. One newline at the end of a file or of the standard input is not part of the prompt. The same seed gives \
            the same text.

            Power and linear attention take constant memory and constant time a token, however long the context: see --timing. On a \
            card their state is in its memory; keys and values of exponential attention are kept, and attended to, on the host.

            EXAMPLES
              power generate runs/first --prompt "It is a truth universally"
              power generate runs/first/checkpoints/step-00000500 --prompt-file chapter.txt --tokens 500 --top-p 0.9
              power generate runs/first --timing 1000,50000
              power generate runs/fast --device cuda --prompt "It was"
            """)

    @Argument(
        help: ArgumentHelp(
            "Folder of a run, whose newest checkpoint is taken, of a checkpoint, or of a saved model.", valueName: "folder"))
    var path: String
    @Option(help: ArgumentHelp("Text to continue.", valueName: "text")) var prompt: String?
    @Option(help: ArgumentHelp("File whose text is continued; - for standard input.", valueName: "file"), completion: .file())
    var promptFile: String?
    @Flag(help: "Print the prompt, too.") var echo = false
    @Option(help: ArgumentHelp("The largest number of tokens.", valueName: "n")) var tokens = 200
    @Option(help: ArgumentHelp("Below 1 likely tokens become likelier; 0 always takes the likeliest.", valueName: "x"))
    var temperature = 0.8
    @Option(help: ArgumentHelp("Draw from the n likeliest tokens only.", valueName: "n")) var topK: Int?
    @Option(help: ArgumentHelp("Draw from the likeliest tokens that together have this probability.", valueName: "x"))
    var topP: Double?
    @Option(help: ArgumentHelp("Seed of the random numbers.", valueName: "n")) var seed: UInt64 = 0
    @Option(help: ArgumentHelp("gpt2 or bytes, for a saved model (default: by its vocabulary).", valueName: "name"))
    var tokenizer: String?
    @Option(
        help: ArgumentHelp(
            "Instead of text, print the time and the memory of a token after contexts of these lengths.", valueName: "n,n…"))
    var timing: ContextLengths?
    @Option(help: "Where the model computes: cpu, in float32, or cuda, with activations in bfloat16.") var device = Device.cpu

    func validate() throws {
        if tokens < 0 { throw ValidationError("--tokens must be at least 0.") }
        if prompt != nil && promptFile != nil { throw ValidationError("Give --prompt or --prompt-file, not both.") }
    }

    func run() throws {
        let options = SamplingOptions(temperature: temperature, topK: topK, topP: topP, seed: seed)
        try options.validate()
        let trained = try TrainedModel(at: path, tokenizer: tokenizer, device: device)
        if let timing { return try printTimings(trained, timing.values) }

        let prompt = try promptBytes()
        var generator = try Generator(trained.model, options)
        let tokens = trained.tokenizer.encode(bytes: prompt)
        try generator.read(tokens.isEmpty ? [trained.tokenizer.endOfText] : tokens)
        var output = TextOutput()
        if echo { try output.write(prompt) }
        try generator.stream(limit: self.tokens, end: trained.tokenizer.endOfText) { token in
            try output.write(trained.tokenizer.bytes(of: [token]))
            return true
        }
        try output.finish()
    }

    private func promptBytes() throws -> [UInt8] {
        if let prompt { return Array(prompt.utf8) }
        if promptFile == nil && isatty(STDIN_FILENO) == 1 { return [] }
        let data: Data
        if let promptFile, promptFile != "-" {
            do { data = try Data(contentsOf: URL(fileURLWithPath: promptFile)) } catch {
                throw PowerAttentionError(
                    .inputOutput, argument: promptFile, given: "a file that cannot be read", expected: "a readable file",
                    cause: error)
            }
        } else {
            data = try FileHandle.standardInput.readToEnd() ?? Data()
        }
        return Array(data.last == UInt8(ascii: "\n") ? data.dropLast() : data)
    }

    private func printTimings(_ trained: TrainedModel, _ contexts: [Int]) throws {
        func put(_ line: String) { try? FileHandle.standardOutput.write(contentsOf: Data("\(line)\n".utf8)) }
        put("   context   ms a token   state in MB")
        try DecodingTiming.measure(trained.model, contexts: contexts) { timing in
            put(
                String(
                    format: "%10d   %10.3f   %11.3f", timing.context, timing.secondsPerToken * 1e3,
                    Double(timing.stateBytes) / 1e6))
        }
    }
}

/// Lengths of contexts on the command line: `1000,50000`.
struct ContextLengths: ExpressibleByArgument {
    let values: [Int]

    init?(argument: String) {
        let values = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard values.allSatisfy({ (1...1 << 32).contains($0) }) else { return nil }
        self.values = values
    }
}
