import Experiments
import Foundation
import Tensors
import Testing
import Training

@Suite struct RunReadingTests {
    @Test func readsEveryFile() throws {
        let folder = try RunFolder("austen")
        let run = try Run(path: folder.path)
        #expect(run.name == "austen" && run.path == folder.path)
        #expect(run.steps.count == 200)
        #expect(run.steps[49].step == 50 && run.steps[49].tokens == 25_600 && run.steps[49].flops == 50e9)
        #expect(run.steps[49].heldOutLoss == 2 + 3.5 / 50 + 0.1 && run.steps[48].heldOutLoss == nil)
        #expect(run.evaluation?.bins.map(\.to) == [1, 3, 8] && run.evaluation?.bins[2].standardError == nil)
        #expect(run.sample?.prompt == "It is <i>")
        #expect(run.mixer == "power attention, degree 2, gated" && run.isByteLevel && run.parameterCount == 123_456)
    }

    @Test func trailingSlashesDoNotMatter() throws {
        let folder = try RunFolder("austen")
        let run = try Run(path: folder.path + "//")
        #expect(run.path == folder.path && run.name == "austen")
        let error = try #require(throws: PowerAttentionError.self) { try Run(path: "/") }
        #expect(error.argument == "//config.json")
    }

    @Test func evaluationAndSampleMayBeAbsent() throws {
        let folder = try RunFolder(files: ["eval.json": nil, "sample.json": nil])
        let run = try Run(path: folder.path)
        #expect(run.evaluation == nil && run.sample == nil && !run.steps.isEmpty)
    }

    @Test(arguments: ["", RunFolder.line(1).dropLast(20) + ""])
    func unfinishedLastLineIsLeftOut(tail: String) throws {
        let folder = try RunFolder(files: ["metrics.jsonl": Data((RunFolder.metrics(3) + tail).utf8)])
        #expect(try Run(path: folder.path).steps.map(\.step) == [1, 2, 3])
    }

    @Test func completeLastLineNeedsNoLineFeed() throws {
        let folder = try RunFolder(files: ["metrics.jsonl": Data(RunFolder.metrics(3).dropLast().utf8)])
        #expect(try Run(path: folder.path).steps.count == 3)
    }

    @Test func stepsThatWereSkippedAreReadBesideTheOthers() throws {
        let lines =
            RunFolder.line(1) + RunFolder.skippedLine(2, 1) + RunFolder.line(3) + RunFolder.skippedLine(4, 2, spike: true)
        let folder = try RunFolder(files: ["metrics.jsonl": Data(lines.utf8)])
        let run = try Run(path: folder.path)
        #expect(run.steps.map(\.step) == [1, 3] && run.skippedSteps.map(\.step) == [2, 4] && run.skippedCount == 2)
        #expect(run.skippedSteps[0].loss.isNaN && run.skippedSteps[0].gradientNorm == .infinity)
        #expect(run.skippedSteps[0].first == "the input of norm" && run.skippedSteps[0].reason == .notFinite)
        #expect(run.skippedSteps[1].reason == .spike && run.skippedSteps[1].first == nil)
        // A file of the time when they were only counted.
        let counted = RunFolder.line(1) + RunFolder.line(5).replacing("{", with: "{\"skipped\":3,")
        let older = try RunFolder(files: ["metrics.jsonl": Data(counted.utf8)])
        #expect(try Run(path: older.path).skippedCount == 3 && Run(path: older.path).skippedSteps.isEmpty)
    }

    @Test(arguments: [
        (RunFolder.skippedLine(1, 1), "step 1 after step 1"), (RunFolder.skippedLine(2, 3), "3 skipped steps after 0"),
        (RunFolder.skippedLine(2, 0), "0 skipped steps"),
        (RunFolder.skippedLine(2, 1).replacing("1024", with: "9"), "9 tokens after"),
        (RunFolder.skippedLine(2, 1).replacing("\"seconds\":0.5", with: "\"seconds\":\"inf\""), "inf s after"),
        (RunFolder.skippedLine(2, 1).replacing("not_finite", with: "bored"), "an illegal value"),
    ])
    func damagedLineOfASkippedStepIsNamed(line: String, reason: String) throws {
        let folder = try RunFolder(files: ["metrics.jsonl": Data((RunFolder.line(1) + line + RunFolder.line(3)).utf8)])
        let error = try #require(throws: PowerAttentionError.self) { try Run(path: folder.path) }
        #expect(error.argument == "\(folder.path)/metrics.jsonl line 2" && error.code == .damagedFile)
        #expect(error.description.contains(reason), "\(error)")
    }

    @Test(arguments: ["config.json", "metrics.jsonl"])
    func missingFileIsNamed(file: String) throws {
        let folder = try RunFolder(files: [file: nil])
        let error = try #require(throws: PowerAttentionError.self) { try Run(path: folder.path) }
        #expect(error.argument == "\(folder.path)/\(file)" && error.code == .inputOutput)
    }

    @Test(arguments: [
        (#"{"step":2,"tokens":9,"loss":1,"seconds":1"# + "\n", "JSON"),
        ("\n", "JSON"),
        (
            #"{"step":2,"tokens":9,"seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"# + "\n",
            "loss"
        ),
        (
            #"{"step":2,"tokens":9,"loss":"x","seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "value of \"loss\""
        ),
        (
            #"{"step":2,"tokens":9,"loss":1e999,"seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "out of range"
        ),
        (
            #"{"step":1,"tokens":9999,"loss":1,"seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "step 1 after step 1"
        ),
        (
            #"{"step":2,"tokens":9,"loss":1,"seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "9 tokens after 512"
        ),
        (
            #"{"step":2,"tokens":900,"loss":1,"seconds":0,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "s after"
        ),
        (
            #"{"step":2,"tokens":900,"loss":1,"seconds":1,"flops":-1,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "FLOPs"
        ),
        (
            #"{"step":2,"tokens":900,"loss":-1,"seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "a loss of -1"
        ),
        (
            #"{"step":2,"tokens":900,"loss":1e300,"seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "a loss of 1e+300"
        ),
        (
            #"{"step":2,"tokens":900,"loss":1,"held_out_loss":1e101,"seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "a loss of 1e+101"
        ),
        (
            #"{"step":2,"tokens":9223372036854775807,"loss":1,"seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "9223372036854775807 tokens"
        ),
        (
            #"{"step":2,"tokens":99999999999999999999,"loss":1,"seconds":1,"flops":9e9,"learning_rate":1,"gradient_norm":1,"tokens_per_second":1}"#
                + "\n", "out of range"
        ),
    ])
    func damagedLineIsNamed(line: String, reason: String) throws {
        let text = RunFolder.line(1) + line + RunFolder.line(3)
        let folder = try RunFolder(files: ["metrics.jsonl": Data(text.utf8)])
        let error = try #require(throws: PowerAttentionError.self) { try Run(path: folder.path) }
        #expect(error.argument == "\(folder.path)/metrics.jsonl line 2" && error.code == .damagedFile)
        #expect(error.description.contains(reason), "\(error)")
    }

    @Test(arguments: [
        ("config.json", "[]"), ("config.json", "{"), ("config.json", ""), ("eval.json", "{}"),
        ("sample.json", #"{"prompt": 3}"#),
        (
            "eval.json",
            #"{"context":8,"documents":1,"windows":1,"tokens":8,"mean_loss":1,"bins":[{"from":4,"to":2,"loss":1,"count":1}]}"#
        ),
        (
            "eval.json",
            #"{"context":8,"documents":1,"windows":1,"tokens":8,"mean_loss":1,"bins":[{"from":0,"to":9,"loss":1,"count":1}]}"#
        ),
        (
            "eval.json",
            #"{"context":8,"documents":1,"windows":1,"tokens":8,"mean_loss":1,"bins":[{"from":0,"to":4,"loss":1,"count":1},{"from":3,"to":8,"loss":1,"count":1}]}"#
        ),
        (
            "eval.json",
            #"{"context":8,"documents":1,"windows":1,"tokens":8,"mean_loss":1,"bins":[{"from":0,"to":4,"loss":1,"count":1,"standard_error":-1}]}"#
        ),
        ("eval.json", #"{"context":-8,"documents":1,"windows":1,"tokens":8,"mean_loss":1,"bins":[]}"#),
        ("eval.json", #"{"context":9223372036854775807,"documents":1,"windows":1,"tokens":8,"mean_loss":1,"bins":[]}"#),
        ("eval.json", #"{"context":8,"documents":1,"windows":1,"tokens":8,"mean_loss":1e200,"bins":[]}"#),
    ])
    func damagedFileIsNamed(file: String, text: String) throws {
        let folder = try RunFolder(files: [file: Data(text.utf8)])
        let error = try #require(throws: PowerAttentionError.self) { try Run(path: folder.path) }
        #expect(error.argument == "\(folder.path)/\(file)" && error.code == .damagedFile)
    }

    /// Damaged bytes give a run or an error, never anything else, and whatever was read can be drawn.
    @Test(arguments: ["config.json", "metrics.jsonl", "eval.json", "sample.json"])
    func damagedBytesGiveARunOrAnError(file: String) throws {
        let folder = try RunFolder(steps: 10)
        let url = folder.url.appendingPathComponent(file)
        let original = [UInt8](try Data(contentsOf: url))
        var generator = RandomGenerator(seed: 7)
        var failures = 0
        for _ in 0..<200 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: bytes.indices, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.removeSubrange(place..<min(bytes.count, place + 5))
                default: bytes.insert(contentsOf: Array("-9e99{[\"".utf8).shuffled(using: &generator).prefix(3), at: place)
                }
            }
            try Data(bytes).write(to: url)
            do {
                let page = try Report(runs: [try Run(path: folder.path)]).html()
                #expect(wellFormednessFault(page) == nil)
            } catch {
                failures += 1
            }
        }
        #expect(failures > 20)
    }
}
