import ArgumentParser
import Foundation
import LanguageModel
import Tensors

/// `power data info`: what a token file holds.
struct DataInfoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show what a token file holds.",
        discussion: """
            Reads the files that `power data build` writes, and those of LongCrawl64: .bin files of uint16 tokens, 65,536 a document.

            EXAMPLES
              power data info novels.tokens
              power data info novels.tokens --json | jq .tokens
              power data info novels.tokens --at-least 65536
            """)

    @Argument(help: ArgumentHelp("A token file.", valueName: "file"), completion: .file()) var path: String
    @Option(help: ArgumentHelp("Count only documents of at least so many tokens.", valueName: "n")) var atLeast = 0
    @Flag(help: "Read every token and check that it belongs to the vocabulary.") var verify = false
    @Flag(help: "Print JSON instead of a table.") var json = false

    func run() throws {
        let file = try TokenFile(path)
        if verify {
            for start in stride(from: 0, to: file.tokenCount, by: 1 << 20) {
                _ = try file.tokens(in: start..<min(start + 1 << 20, file.tokenCount))
            }
        }
        let summary = TokenFileSummary(file, atLeast: atLeast)
        print(json ? try summary.json() : summary.text)
    }
}

/// The numbers that describe a token file.
struct TokenFileSummary: Encodable {
    private let path: String
    private let format: String
    private let tokenizer: String
    private let vocabularySize: Int
    private let tokenType: String
    private let bytes: Int
    private let tokens: Int
    private let training: Part
    private let heldOut: Part

    /// The documents for training, or those that are held out.
    private struct Part: Encodable {
        let documents: Int
        let tokens: Int
        let shortest: Int
        let median: Int
        let longest: Int

        init(_ documents: [Range<Int>], atLeast: Int) {
            let lengths = documents.map(\.count).filter { $0 >= atLeast }.sorted()
            self.documents = lengths.count
            tokens = lengths.reduce(0, +)
            shortest = lengths.first ?? 0
            median = lengths.isEmpty ? 0 : lengths[lengths.count / 2]
            longest = lengths.last ?? 0
        }

        var text: String {
            if documents == 0 { return "none" }
            let lengths = documents == 1 ? "" : " (\(shortest) to \(longest) each, median \(median))"
            return "\(documents) document\(documents == 1 ? "" : "s"), \(tokens) tokens\(lengths)"
        }
    }

    /// - Parameter atLeast: the number of tokens below which a document does not count as one for training or as one held out.
    init(_ file: TokenFile, atLeast: Int = 0) {
        path = file.path
        format = file.format.rawValue
        tokenizer = file.tokenizer
        vocabularySize = file.vocabularySize
        tokenType = file.tokenType.rawValue
        bytes = file.byteCount
        tokens = file.tokenCount
        training = Part(file.trainingDocuments, atLeast: atLeast)
        heldOut = Part(file.heldOutDocuments, atLeast: atLeast)
    }

    var text: String {
        """
        \(path): \(format), \(bytes) bytes
        tokenizer  \(tokenizer), vocabulary of \(vocabularySize), stored as \(tokenType)
        tokens     \(tokens)
        training   \(training.text)
        held out   \(heldOut.text)
        """
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
