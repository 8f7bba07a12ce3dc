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
            Every file is a document, in the order of the arguments and of the paths below a directory; --join-directories, \
            --join-depth and --join-bytes make one document of several files. Hidden files, links to directories and empty files \
            are passed over. Documents end with the tokenizer's end of text. The text may be larger than memory.

            --join-bytes makes long documents of a tree of short files, a subtree a document: a directory that is larger than MAX \
            is taken apart, what is smaller than MIN is joined to what is beside it. Files are not cut.

            Which documents --held-out holds out depends on their names and --seed alone; --held-out-path names directories or \
            files, from an input on, whose text is never joined with other text. The output appears when it is complete; an old \
            file of that name stays until then.

            EXAMPLES
              power data build novels/ -o novels.tokens --held-out 1
              power data build src/ -o code.tokens --extension c,h,md --join-depth 1 --held-out 2%
              power data build linux/ -o linux.tokens --extension c,h --join-bytes 256K:2M --held-out-path fs/ext4
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
    @Option(
        help: ArgumentHelp(
            "Hold out what is in this directory or file, a path from an input on; may be repeated.", valueName: "path"))
    var heldOutPath: [String] = []
    @Option(help: ArgumentHelp("Chooses which documents are held out.", valueName: "n")) var seed: UInt64 = 0
    @Flag(help: "Make one document of the files of each directory (not of those in directories below it).")
    var joinDirectories = false
    @Option(
        help: ArgumentHelp(
            "Make one document of all that is in a directory so many levels below an input; 0 joins all of an input.",
            valueName: "n"))
    var joinDepth: Int?
    @Option(
        help: ArgumentHelp(
            "Make one document of each subtree of MIN to MAX bytes, such as 256K:2M (K and M are 1,024 and 1,024²).",
            valueName: "min:max"),
        transform: Self.bounds)
    var joinBytes: ClosedRange<Int>?
    @Option(
        help: ArgumentHelp(
            "Pass over this directory or file, a path from an input on; may be repeated.", valueName: "path"))
    var omit: [String] = []
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
        if [joinDepth != nil, joinDirectories, joinBytes != nil].count(where: { $0 }) > 1 {
            throw ValidationError("Give one of --join-directories, --join-depth and --join-bytes.")
        }
    }

    func run() throws {
        var split = try HeldOutSplit(heldOut, seed: seed)
        split.paths = heldOutPath
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
        print("text       \(size) bytes, \(Self.speed(size, since: start))")
    }

    private static func tokenType(_ name: String) throws -> TokenType {
        guard let type = TokenType(rawValue: name) else { throw ValidationError("It must be uint16 or uint32.") }
        return type
    }

    /// Two sizes, such as `256K:2M`.
    private static func bounds(_ text: String) throws -> ClosedRange<Int> {
        let sizes = try text.split(separator: ":", omittingEmptySubsequences: false).map { part in
            let unit = part.last == "K" ? 1 << 10 : part.last == "M" ? 1 << 20 : 1
            let size = Int(unit > 1 ? part.dropLast() : part)?.multipliedReportingOverflow(by: unit)
            guard let size, !size.overflow, size.partialValue >= 1 else {
                throw ValidationError("\(part) is not a size: a number of bytes, or one with K or M.")
            }
            return size.partialValue
        }
        guard sizes.count == 2, sizes[0] <= sizes[1] else {
            throw ValidationError("It must be two sizes, the smaller first, such as 256K:2M.")
        }
        return sizes[0]...sizes[1]
    }

    private static func speed(_ bytes: Int, since start: ContinuousClock.Instant) -> String {
        String(format: "%.1f MB/s", Double(bytes) / max((ContinuousClock.now - start) / .seconds(1), 1e-3) / 1e6)
    }

    private var search: TextSearch {
        var search = TextSearch()
        search.extensions = Set((extensions ?? "").split(separator: ",").map { $0.drop { $0 == "." } }.map(String.init))
        if let joinBytes {
            search.joining = .subtrees(joinBytes)
        } else if let joinDepth {
            search.joining = .level(joinDepth)
        } else if joinDirectories {
            search.joining = .folders
        }
        search.omitted = omit
        search.separate = heldOutPath
        return search
    }

    private func line(_ progress: TokenFileBuilder.Progress, of size: Int, since start: ContinuousClock.Instant) -> String {
        let seconds = max((ContinuousClock.now - start) / .seconds(1), 1e-3)
        let speed = Double(progress.bytes) / seconds
        return "\(progress.bytes * 100 / max(size, 1))%  \(progress.documents) documents  \(progress.tokens) tokens"
            + "  \(Self.speed(progress.bytes, since: start))"
            + "  \(TrainingProgress.duration(Double(size - progress.bytes) / speed)) left"
    }
}
