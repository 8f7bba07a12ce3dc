import Foundation
import LanguageModel
import Tensors
import TestSupport
import Testing

@Suite struct GenerateCommandTests {
    /// A model with the vocabulary of bytes that nobody has trained.
    private func model() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let configuration = ModelConfiguration(vocabularySize: 257, layers: 1, width: 16, heads: 1)
        try LanguageModel(configuration, seed: 1).save(to: folder.path)
        return folder
    }

    @Test func text() throws {
        let folder = try model()
        func generate(_ arguments: String...) throws -> String {
            let result = try PowerProcess.run(["generate", folder.path] + arguments)
            #expect(result.status == 0 && result.errors == "", "\(result)")
            return result.output
        }
        let first = try generate("--prompt", "Emma", "--tokens", "300", "--seed", "1")
        #expect(try generate("--prompt", "Emma", "--tokens", "300", "--seed", "1") == first)
        #expect(try generate("--prompt", "Emma", "--tokens", "300", "--seed", "2") != first)
        #expect(try generate("--prompt", "Emma", "--tokens", "300", "--seed", "1", "--echo") == "Emma" + first)
        #expect(first.count > 20 && first.hasSuffix("\n"))
        let controls = first.unicodeScalars.filter { $0.properties.generalCategory == .control }
        #expect(controls.allSatisfy { "\n\t\r".unicodeScalars.contains($0) })
        #expect(try generate("--tokens", "0") == "")
        // The likeliest token after a document's end, again and again.
        #expect(try generate("--temperature", "0", "--top-k", "1", "--tokens", "5").count == 6)
    }

    /// The prompt from an option, a file and the standard input is the same prompt.
    @Test func prompts() throws {
        let folder = try model()
        let file = try folder.write(Array("two\nlines\n".utf8), to: "prompt.txt")
        let options = ["--tokens", "40"]
        let expected = try PowerProcess.run(["generate", folder.path, "--prompt", "two\nlines"] + options).output
        #expect(try PowerProcess.run(["generate", folder.path, "--prompt-file", file] + options).output == expected)
        let pipe = "printf 'two\\nlines\\n' | \"$0\" generate \"$@\""
        #expect(try PowerProcess.run([folder.path] + options, shell: pipe).output == expected)
        #expect(try PowerProcess.run([folder.path, "--prompt-file", "-"] + options, shell: pipe).output == expected)
    }

    /// A reader that has seen enough ends the command without a word.
    @Test func closedPipe() throws {
        let folder = try model()
        let result = try PowerProcess.run(
            [folder.path, "--tokens", "1000000"], shell: "\"$0\" generate \"$@\" < /dev/null | head -c 10 | wc -c")
        #expect(result.output.trimmingCharacters(in: .whitespacesAndNewlines) == "10")
        #expect(result.errors == "")
    }

    @Test func timing() throws {
        let folder = try model()
        let result = try PowerProcess.run(["generate", folder.path, "--timing", "300,100"])
        let lines = result.output.split(separator: "\n").map { $0.split(separator: " ") }
        try #require(result.status == 0 && lines.count == 3)
        #expect(lines[1][0] == "300" && lines[2][0] == "100")
        #expect(lines[1...].allSatisfy { Double($0[1]) ?? 0 > 0 && Double($0[2]) ?? 0 > 0 })
    }

    @Test func errors() throws {
        let folder = try model()
        for (arguments, status, text) in [
            (["--prompt", "a", "--prompt-file", "b"], 64, "--prompt"), (["--temperature=-1"], 64, "temperature"),
            (["--top-k", "0"], 64, "top-k"), (["--top-p", "2"], 64, "top-p"), (["--tokens=-1"], 64, "tokens"),
            (["--tokenizer", "gpt2"], 64, "tokenizer"), (["--timing", "0"], 64, "timing"), (["--timing", "9,"], 64, "timing"),
            (["--prompt-file", "/nowhere/prompt"], 74, "/nowhere/prompt"),
        ] {
            let result = try PowerProcess.run(["generate", folder.path] + arguments)
            #expect(result.status == Int32(status) && result.output == "" && result.errors.contains(text), "\(result)")
        }
        let missing = try PowerProcess.run(["generate", "/nowhere"])
        #expect(missing.status == 74 && missing.errors.contains("/nowhere"))
        try folder.write(Array("{\"layers\": 2}".utf8), to: "config.json")
        let damaged = try PowerProcess.run(["generate", folder.path])
        #expect(damaged.status == 65 && damaged.errors.contains("embedding.weight"), "\(damaged)")
    }

    /// The newest checkpoint of a run, with the tokenizer of the run.
    @Test func trainedRun() throws {
        let folder = try TemporaryFolder()
        let run = folder.file("run")
        let training = try PowerProcess.run([
            "train", "-o", run, "--layers", "1", "--width", "16", "--heads", "1", "--context", "32", "--batch-size", "2",
            "--evaluation-windows", "1", "--steps", "4",
        ])
        #expect(training.status == 0, "\(training)")
        let text = try PowerProcess.run(["generate", run, "--prompt", "Emma", "--tokens", "50"])
        #expect(text.status == 0 && !text.output.isEmpty, "\(text)")
        let checkpoint = try PowerProcess.run(
            ["generate", "\(run)/checkpoints/step-00000004", "--prompt", "Emma", "--tokens", "50"])
        #expect(checkpoint.output == text.output)
    }
}
