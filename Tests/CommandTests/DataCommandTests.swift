import Foundation
import LanguageModel
import Tensors
import TestSupport
import Testing

@Suite struct DataCommandTests {
    let folder = try! TemporaryFolder()
    private var output: String { folder.file("out.tokens") }

    private func makeTexts(count: Int = 5) throws -> String {
        for index in 0..<count { try folder.write("Text number \(index).\n".utf8, to: "texts/\(index).txt") }
        return folder.file("texts")
    }

    @Test func buildsAndDescribes() throws {
        let build = try PowerProcess.run([
            "data", "build", makeTexts(), "-o", output, "--held-out", "20%", "--tokenizer", "bytes",
        ])
        #expect(build.status == 0 && build.errors.isEmpty)
        #expect(build.output.contains("training   4 documents, 64 tokens"))
        #expect(build.output.contains("held out   1 document, 16 tokens") && !build.output.contains("\u{1B}"))
        let file = try TokenFile(output)
        #expect(try ByteTokenizer().decode(file.tokens(in: file.documents[3])) == "Text number 3.\n")

        let info = try PowerProcess.run(["data", "info", output, "--json", "--verify"])
        #expect(info.status == 0)
        let object = try JSONSerialization.jsonObject(with: Data(info.output.utf8)) as? [String: Any]
        #expect(object?["tokens"] as? Int == 80 && object?["token_type"] as? String == "uint16")
        #expect((object?["held_out"] as? [String: Any])?["documents"] as? Int == 1)
    }

    @Test func subtrees() throws {
        for (name, size) in [("a/1.c", 90), ("a/2.h", 40), ("a/2.o", 900), ("b/1.c", 120), ("b/2.c", 150), ("c/1.c", 100)] {
            try folder.write([UInt8](repeating: UInt8(ascii: "x"), count: size), to: "tree/\(name)")
        }
        let build = try PowerProcess.run([
            "data", "build", folder.file("tree"), "-o", output, "--tokenizer", "bytes", "--extension", "c,h", "--join-bytes",
            "100:200", "--held-out-path", "b/2.c", "--omit", "c",
        ])
        #expect(build.status == 0 && build.output.contains("text       400 bytes, "), "\(build)")
        #expect(build.output.contains("training   2 documents, 253 tokens (121 to 132 each, median 132)"), "\(build)")
        #expect(build.output.contains("held out   1 document, 151 tokens"))
        let info = try PowerProcess.run(["data", "info", output, "--at-least", "130"])
        #expect(info.output.contains("training   1 document, 132 tokens") && info.output.contains("held out   1 document"))
    }

    @Test func quiet() throws {
        let result = try PowerProcess.run(["data", "build", makeTexts(), "-o", output, "-q"])
        #expect(result.status == 0 && result.output.isEmpty && result.errors.isEmpty)
    }

    static let refused: [(arguments: [String], status: Int32)] = [
        (["texts", "--held-out", "5"], 64), (["texts", "--held-out", "1.5"], 64), (["texts", "--tokenizer", "words"], 64),
        (["texts", "--extension", "pdf"], 64), (["texts", "--join-depth", "1", "--join-directories"], 64), (["missing"], 74),
        (["texts", "--token-type", "uint8"], 64), ([], 64), (["texts", "--join-bytes", "1K"], 64),
        (["texts", "--join-bytes", "2M:1M"], 64), (["texts", "--join-bytes", "1:9223372036854775807M"], 64),
        (["texts", "--join-bytes", "1:2", "--join-depth", "1"], 64), (["texts", "--held-out-path", "elsewhere"], 64),
    ]

    @Test(arguments: refused) func refuses(arguments: [String], status: Int32) throws {
        _ = try makeTexts()
        try folder.write("old".utf8, to: "out.tokens")
        let script = "cd '\(folder.path)' && exec \"$0\" \"$@\""
        let result = try PowerProcess.run(["data", "build", "-o", "out.tokens"] + arguments, shell: script)
        #expect(result.status == status && result.output.isEmpty && !result.errors.isEmpty, "\(result)")
        #expect(try folder.read("out.tokens") == Data("old".utf8))
        #expect(folder.contents == ["out.tokens", "texts"])
    }

    /// A disk that is full, as a limit on the size of files stands for it: an error that names the file, and the old one stays.
    @Test func fullDisk() throws {
        let texts = try makeTexts(count: 3)
        try folder.write([UInt8](repeating: UInt8(ascii: "x"), count: 200_000), to: "texts/large.txt")
        try folder.write("old".utf8, to: "out.tokens")
        let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""
        let result = try PowerProcess.run(["data", "build", texts, "-o", output, "--tokenizer", "bytes"], shell: script)
        #expect(result.status == 74 && result.errors.contains("out.tokens: cannot be written"), "\(result)")
        #expect(try folder.read("out.tokens") == Data("old".utf8))
        #expect(folder.contents == ["out.tokens", "texts"])
    }

    @Test func infoRefusesOtherFiles() throws {
        let result = try PowerProcess.run(["data", "info", folder.write("text".utf8, to: "text")])
        #expect(result.status == 65 && result.errors.contains("not a token file"))
    }
}
