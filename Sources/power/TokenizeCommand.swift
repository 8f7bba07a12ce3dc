import ArgumentParser
import Foundation
import LanguageModel
import Tensors

/// `power tokenize`: text to token ids and back.
struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Turn text into token ids, or ids into text.",
        discussion: """
            Ids are printed in decimal, separated by spaces; with --decode they are read so, separated by any white space.

              power tokenize README.md
              power tokenize novel.txt | power tokenize --decode -
            """)

    @Option(help: "gpt2 (the ids of tiktoken's gpt2) or bytes.") var tokenizer = "gpt2"
    @Flag(help: "Read ids and write text.") var decode = false
    @Flag(help: "Read <|endoftext|> in the text as the token that ends a document.") var special = false
    @Argument(help: ArgumentHelp("The file to read; - for standard input.", valueName: "file")) var path: String

    func run() throws {
        let tokenizer = try BuiltInTokenizer(named: tokenizer).load()
        let input = try read()
        if decode {
            var ids: [Int32] = []
            for word in input.split(whereSeparator: { $0 == 0x20 || (0x09...0x0D).contains($0) }) {
                let text = String(decoding: word.prefix(20), as: UTF8.self)
                guard let id = Int32(text) else {
                    throw PowerAttentionError(.damagedFile, argument: path, given: "\"\(text)\"", expected: "token ids")
                }
                ids.append(id)
            }
            try FileHandle.standardOutput.write(contentsOf: Data(try tokenizer.bytes(of: ids)))
        } else {
            let ids: [Int32]
            if special, let gpt2 = tokenizer as? GPT2Tokenizer {
                ids = gpt2.encode(String(decoding: input, as: UTF8.self), allowingSpecial: true)
            } else {
                ids = tokenizer.encode(bytes: [UInt8](input))
            }
            var line = ids.map(String.init).joined(separator: " ")
            line += "\n"
            try FileHandle.standardOutput.write(contentsOf: Data(line.utf8))
        }
    }

    private func read() throws -> Data {
        if path == "-" { return try FileHandle.standardInput.readToEnd() ?? Data() }
        do { return try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe) } catch {
            throw PowerAttentionError(
                .inputOutput, argument: path, given: "a file that cannot be read", expected: "a readable file", cause: error)
        }
    }
}
