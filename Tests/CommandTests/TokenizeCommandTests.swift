import Foundation
import TestSupport
import Testing

@Suite struct TokenizeCommandTests {
    let folder = try! TemporaryFolder()

    @Test func printsIDs() throws {
        let path = try folder.write("Hello world\n".utf8, to: "a")
        #expect(try PowerProcess.run(["tokenize", path]).output == "15496 995 198\n")
        #expect(try PowerProcess.run(["tokenize", "-"], input: path).output == "15496 995 198\n")
        #expect(try PowerProcess.run(["tokenize", "--tokenizer", "bytes", path]).output.hasPrefix("72 101 108"))
    }

    /// What is not UTF-8 comes back as well.
    @Test(arguments: ["gpt2", "bytes"]) func comesBack(tokenizer: String) throws {
        let bytes = Array("Caf\u{E9}  \u{1F469}\r\n".utf8) + [0, 0xFF, 0xC3]
        let ids = try PowerProcess.run(["tokenize", "--tokenizer", tokenizer, folder.write(bytes, to: "a")])
        try folder.write(ids.output.utf8, to: "ids")
        let script = "exec \"$0\" \"$@\" > '\(folder.file("back"))'"
        let back = try PowerProcess.run(
            ["tokenize", "--tokenizer", tokenizer, "--decode", "-"], shell: script, input: folder.file("ids"))
        #expect(back.status == 0)
        #expect(try Array(folder.read("back")) == bytes)
    }

    @Test func specialTokens() throws {
        let path = try folder.write("a<|endoftext|>".utf8, to: "a")
        #expect(try PowerProcess.run(["tokenize", path]).output == "64 27 91 437 1659 5239 91 29\n")
        #expect(try PowerProcess.run(["tokenize", "--special", path]).output == "64 50256\n")
    }

    @Test(arguments: ["1 2 x", "50257", "-1", "99999999999999999999"]) func refusesIDs(text: String) throws {
        let result = try PowerProcess.run(["tokenize", "--decode", folder.write(text.utf8, to: "ids")])
        #expect(result.status != 0 && result.output.isEmpty && result.errors.hasPrefix("power: "), "\(result)")
    }

    @Test func refusesFiles() throws {
        #expect(try PowerProcess.run(["tokenize", folder.file("missing")]).status == 74)
        #expect(try PowerProcess.run(["tokenize", folder.path]).status == 74)
        #expect(try PowerProcess.run(["tokenize", "--tokenizer", "words", "-"]).status == 64)
    }
}
