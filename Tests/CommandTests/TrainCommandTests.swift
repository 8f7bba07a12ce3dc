import Foundation
import LanguageModel
import Tensors
import TestSupport
import Testing
import Training

@Suite struct TrainCommandTests {
    /// A run of a second or two.
    private static let small = [
        "--layers", "1", "--width", "16", "--heads", "1", "--context", "32", "--batch-size", "2", "--evaluation-interval", "5",
        "--evaluation-windows", "2", "--steps", "30",
    ]

    private func train(_ path: String, _ arguments: [String] = []) throws -> PowerProcess {
        try PowerProcess(["train", "-o", path] + Self.small + arguments)
    }

    /// What must be equal bit for bit: all but the times.
    private func numbers(_ path: String) throws -> [[UInt64]] {
        let text = try String(contentsOfFile: RunStore(path).metricsPath, encoding: .utf8)
        return try text.split(separator: "\n").map { line in
            let record = try JSONDecoder().decode(StepRecord.self, from: Data(line.utf8))
            return [
                UInt64(record.step), record.loss.bitPattern, record.gradientNorm.bitPattern,
                record.heldOutLoss?.bitPattern ?? 0,
            ]
        }
    }

    /// Waits, for ten seconds at most, until a run has written some lines.
    private func waitForMetrics(_ path: String) throws {
        for _ in 0..<500 {
            if let metrics = FileManager.default.contents(atPath: RunStore(path).metricsPath), metrics.count > 500 { return }
            usleep(20_000)
        }
    }

    private func weights(_ path: String, step: Int) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(RunStore(path).checkpoints.path(of: step))/model.safetensors"))
    }

    /// Killed again and again, at moments that are as random as the seed, and resumed every time.
    @Test func aKilledRunResumesToTheSameBits() throws {
        let folder = try TemporaryFolder()
        let (whole, parts) = ("\(folder.path)/whole", "\(folder.path)/parts")
        let steps = ["--steps", "600"]
        #expect(try train(whole, steps).wait().status == 0)
        var generator = RandomGenerator(seed: 20)
        var kills = 0
        while kills < 8 {
            let run = try train(parts, steps + ["--resume", "--checkpoint-interval", "1"])
            usleep(UInt32.random(in: 10_000...120_000, using: &generator))
            guard run.process.isRunning else { break }
            kill(run.process.processIdentifier, SIGKILL)
            #expect([0, 137].contains(try run.wait().status))
            kills += 1
        }
        #expect(kills > 0)
        #expect(try train(parts, steps + ["--resume"]).wait().status == 0)
        #expect(try numbers(parts) == numbers(whole))
        #expect(try weights(parts, step: 600) == weights(whole, step: 600))
    }

    @Test(arguments: [(SIGTERM, 143), (SIGINT, 130)] as [(Int32, Int32)])
    func aSignalWritesACheckpointAndLeaves(signal: Int32, status: Int32) throws {
        let folder = try TemporaryFolder()
        let run = try train(folder.path, ["--steps", "100000", "--checkpoint-interval", "100000"])
        try waitForMetrics(folder.path)
        kill(run.process.processIdentifier, signal)
        let result = try run.wait()
        #expect(result.status == status)
        #expect(result.errors.contains("checkpoint"))
        #expect(!result.errors.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
        let lines = try numbers(folder.path)
        #expect(try RunStore(folder.path).checkpoints.steps() == [lines.count])
    }

    @Test func aFullDiskLeavesTheLastCheckpoint() throws {
        let folder = try TemporaryFolder()
        let (whole, parts) = ("\(folder.path)/whole", "\(folder.path)/parts")
        #expect(try train(whole, ["--checkpoint-interval", "10"]).wait().status == 0)
        let arguments = ["train", "-o", parts] + Self.small + ["--resume", "--checkpoint-interval"]
        // Files may have 20 KiB, less than the weights; writing more is an error instead of a signal.
        let limited = "trap '' XFSZ; ulimit -f 40; exec \"$0\" \"$@\""
        let first = try PowerProcess.run(arguments + ["10"], shell: limited)
        #expect(first.status == 74 && first.errors.contains("power: "), "\(first.errors)")
        #expect(try RunStore(parts).checkpoints.steps() == [])
        #expect(try PowerProcess.run(arguments + ["10"]).status == 0)
        #expect(try numbers(parts) == numbers(whole))
    }

    @Test func flagsOverrideTheFileAndTheResultIsWrittenDown() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/c.toml"
        try """
        [model]
        layers = 1
        width = 16
        heads = 1
        degree = 4
        [training]
        steps = 2
        batch_size = 2
        context = 16
        learning_rate = 0.5
        """.write(toFile: path, atomically: true, encoding: .utf8)
        let run = "\(folder.path)/run"
        #expect(try PowerProcess.run(["train", path, "--learning-rate", "0.25", "--mixer", "linear", "-o", run]).status == 0)
        let value = try RunStore(run).readConfiguration()
        let configuration = try RunConfiguration(value, source: "config.json")
        #expect(configuration.training.learningRate == 0.25)
        #expect(configuration.training.batchSize == 2)
        #expect(configuration.training.beta2 == TrainingConfiguration().beta2)
        #expect(configuration.model.mixer == .linear && configuration.model.width == 16)
        // The written configuration is a configuration.
        #expect(try PowerProcess.run(["train", "\(run)/config.json", "-o", "\(folder.path)/again"]).status == 0)
        #expect(try numbers("\(folder.path)/again") == numbers(run))
        // It is what a run goes on with when no other is named.
        #expect(try PowerProcess.run(["train", "--resume", "--steps", "3", "-o", run]).status == 0)
        #expect(try numbers(run).count == 3)
    }

    @Test func errorsHaveTheirStatusAndOneLine() throws {
        let folder = try TemporaryFolder()
        let path = folder.path
        try "[model]\nlayerz = 3".write(toFile: "\(path)/unknown.toml", atomically: true, encoding: .utf8)
        try "[[[".write(toFile: "\(path)/damaged.toml", atomically: true, encoding: .utf8)
        let cases: [([String], Int32, String)] = [
            (["train", "--stepz", "3"], 64, "--stepz"),
            (["train", "--resume", "--overwrite"], 64, "--overwrite"),
            (["train", "\(path)/unknown.toml", "-o", "\(path)/a"], 64, "model.layerz"),
            (["train", "\(path)/damaged.toml", "-o", "\(path)/a"], 65, "damaged.toml"),
            (["train", "\(path)/none.toml", "-o", "\(path)/a"], 74, "none.toml"),
            (["train", "--steps", "0", "-o", "\(path)/a"], 64, "training.steps"),
            (["train", "--steps", "1", "-o", path], 64, "not empty"),
            (["train", "--steps", "1", "-o", "/dev/null/a"], 74, "/dev/null/a"),
            (["eval", "\(path)/none"], 74, "none"),
            (["eval", path, "--windows", "0"], 64, "--windows"),
        ]
        for (arguments, status, text) in cases {
            let result = try PowerProcess.run(arguments)
            #expect(result.status == status, "\(arguments): \(result.errors)")
            #expect(result.errors.contains(text), "\(arguments): \(result.errors)")
            #expect(result.output.isEmpty)
        }
    }

    @Test func aReaderThatGoesAwayEndsTheCommandQuietly() throws {
        let result = try PowerProcess.run(
            [], shell: "i=0; while [ $i -lt 20 ]; do \"$0\" train --help | head -n 1; i=$((i+1)); done")
        #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
        #expect(result.output.split(separator: "\n").count == 20)
    }
}

@Suite struct EvalCommandTests {
    @Test func scoresContextsLongerThanTheOneTrainedOn() throws {
        let folder = try TemporaryFolder()
        let run = "\(folder.path)/run"
        let small = ["--layers", "1", "--width", "16", "--heads", "1", "--context", "32", "--batch-size", "2", "--steps", "2"]
        #expect(try PowerProcess.run(["train", "-o", run] + small).status == 0)
        let table = try PowerProcess.run(["eval", run, "--windows", "3"])
        #expect(table.status == 0 && table.output.contains("3 windows of 32 tokens"), "\(table.errors)")
        let long = try PowerProcess.run([
            "eval", run, "--context", "300", "--windows", "2", "--json", "-o", "\(folder.path)/long.json",
        ])
        #expect(long.status == 0)
        let curve = try JSONDecoder().decode(InContextCurve.self, from: Data(long.output.utf8))
        #expect(curve.context == 300 && curve.windows == 2 && curve.bins.last?.to == 300)
        let files = [RunStore(run).evaluationPath, "\(folder.path)/long.json"]
        let written = try files.map {
            try JSONDecoder().decode(InContextCurve.self, from: Data(contentsOf: URL(fileURLWithPath: $0)))
        }
        #expect(written.map(\.context) == [32, 300] && written[1] == curve)
    }
}

@Suite struct QuickstartCommandTests {
    @Test func leavesEverythingInItsFolder() throws {
        let folder = try TemporaryFolder()
        let run = "\(folder.path)/run"
        let result = try PowerProcess.run(["quickstart", "--steps", "2", "-o", run])
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("report.html") && result.output.contains("power generate"))
        #expect(!result.errors.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
        #expect(!result.output.unicodeScalars.contains { $0.value < 0x20 && !"\n\r\t".unicodeScalars.contains($0) })
        let store = RunStore(run)
        #expect(try store.checkpoints.newest()?.step == 2)
        for path in [store.metricsPath, store.evaluationPath, store.samplePath, store.reportPath] {
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count > 100)
        }
        #expect(try PowerProcess.run(["quickstart", "--steps", "2", "-o", run]).status == 64)
    }
}
