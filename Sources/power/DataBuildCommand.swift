import ArgumentParser
import Foundation
import LanguageModel
import Tensors

/// `power data build`: text files and directory trees to a token file.
struct DataBuildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build",
        abstract: "Turn text files or directory trees into a token file.",
        discussion: """
            Every file is a document, in the order of the arguments and of the paths below a directory; --join-directories and \
            --join-depth make one document of several files. Hidden files, links to directories and empty files are passed over. \
            Documents end with the tokenizer's end of text. The text may be larger than memory.

            Which documents are held out depends on their names and --seed alone. The output appears when it is complete; an old \
            file of that name stays until then.

            EXAMPLES
              power data build novels/ -o novels.tokens --held-out 1
              power data build src/ -o code.tokens --extension c,h,md --join-depth 1 --held-out 2%
              power data build a.txt b.txt -o bytes.tokens --tokenizer bytes
              power train --data novels.tokens --tokenizer gpt2
            """)

    @Argument(help: ArgumentHelp("Text files and directories.", valueName: "input"), completion: .file())
    var inputs: [String]
    @Option(name: .shortAndLong, help: ArgumentHelp("The token file to write.", valueName: "file"), completion: .file())
    var output: String
    @Option(help: ArgumentHelp("gpt2 (the ids of tiktoken's gpt2) or bytes.", valueName: "name")) var tokenizer = "gpt2"
    @Option(help: ArgumentHelp("Documents to hold out: a number, or a part such as 0.05 or 5%.", valueName: "amount"))
    var heldOut = "0"
    @Option(help: ArgumentHelp("Chooses which documents are held out.", valueName: "n")) var seed: UInt64 = 0
    @Flag(help: "Make one document of the files of each directory (not of those in directories below it).")
    var joinDirectories = false
    @Option(
        help: ArgumentHelp(
            "Make one document of all that is in a directory so many levels below an input; 0 joins all of an input.",
            valueName: "n"))
    var joinDepth: Int?
    @Option(
        name: .customLong("extension"),
        help: ArgumentHelp("Take only files with these endings from directories: txt,md (default: all).", valueName: "list"))
    var extensions: String?
    @Option(
        help: ArgumentHelp("How a token is stored: uint16 or uint32 (default: the smaller that fits).", valueName: "type"),
        transform: Self.tokenType)
    var tokenType: TokenType?
    @Flag(help: "Do not end documents with the tokenizer's end of text.") var noEndOfText = false
    @Flag(name: .shortAndLong, help: "Show no progress and no summary.") var quiet = false

    func validate() throws {
        if let joinDepth, joinDepth < 0 { throw ValidationError("--join-depth must be at least 0.") }
        if joinDepth != nil, joinDirectories { throw ValidationError("Give --join-directories or --join-depth, not both.") }
    }

    func run() throws {
        let split = try HeldOutSplit(heldOut, seed: seed)
        var builder = TokenFileBuilder(try BuiltInTokenizer(named: tokenizer).load())
        builder.tokenType = tokenType
        builder.endsDocuments = !noEndOfText
        let documents = try search.documents(in: inputs, excluding: output)
        guard !documents.isEmpty else {
            throw PowerAttentionError(argument: "input", given: "no text", expected: "at least one file that is not empty")
        }
        let heldOut = try split.heldOut(among: documents.map(\.name))

        let interruption = Interruption(message: "stopping; \(output) is not written")
        let terminal = Terminal.standardError
        defer { terminal.show("") }
        let size = documents.reduce(0) { $0 + $1.byteCount }
        let start = ContinuousClock.now
        try builder.build(documents, heldOut: heldOut, to: output) { progress in
            try interruption.exitIfRequested()
            guard !quiet else { return }
            terminal.show(line(progress, of: size, since: start))
        }
        terminal.show("")
        guard !quiet else { return }
        print(TokenFileSummary(try TokenFile(output)).text)
    }

    private static func tokenType(_ name: String) throws -> TokenType {
        guard let type = TokenType(rawValue: name) else { throw ValidationError("It must be uint16 or uint32.") }
        return type
    }

    private var search: TextSearch {
        var search = TextSearch()
        search.extensions = Set((extensions ?? "").split(separator: ",").map { $0.drop { $0 == "." } }.map(String.init))
        search.joining = joinDepth.map { .level($0) } ?? (joinDirectories ? .folders : .nothing)
        return search
    }

    private func line(_ progress: TokenFileBuilder.Progress, of size: Int, since start: ContinuousClock.Instant) -> String {
        let seconds = max((ContinuousClock.now - start) / .seconds(1), 1e-3)
        let speed = Double(progress.bytes) / seconds
        return "\(progress.bytes * 100 / max(size, 1))%  \(progress.documents) documents  \(progress.tokens) tokens"
            + String(format: "  %.1f MB/s", speed / 1e6)
            + "  \(TrainingProgress.duration(Double(size - progress.bytes) / speed)) left"
    }
}
