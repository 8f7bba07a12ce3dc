import Foundation
import LanguageModel
import Synchronization
import Tensors
import TestSupport
import Testing

import Training

@Suite struct TrainerTests {
    private func train(
        _ configuration: RunConfiguration, in path: String, _ mode: RunMode, stopAfter: Int? = nil
    ) throws -> (trainer: Trainer, records: [StepRecord], outcome: Trainer.Outcome) {
        let trainer = try Trainer(configuration, data: .sample, store: RunStore(path), mode: mode, logger: silent)
        var records: [StepRecord] = []
        let outcome = try trainer.run {
            records.append($0)
        } shouldStop: {
            trainer.step == stopAfter
        }
        return (trainer, records, outcome)
    }

    private func allLines(_ path: String) throws -> [MetricsLine] {
        let text = try String(contentsOfFile: RunStore(path).metricsPath, encoding: .utf8)
        return try text.split(separator: "\n").map { try MetricsLine.Decoder().line(Data($0.utf8)) }
    }

    private func lines(_ path: String) throws -> [StepRecord] {
        try allLines(path).compactMap { if case .step(let record) = $0 { record } else { nil } }
    }

    private func skipped(_ path: String) throws -> [SkippedStep] {
        try allLines(path).compactMap { if case .skipped(let record) = $0 { record } else { nil } }
    }

    /// What must be equal bit for bit: all but the times.
    private func numbers(_ records: [StepRecord]) -> [[UInt64]] {
        records.map { record in
            [
                UInt64(record.step), UInt64(record.tokens), record.loss.bitPattern, record.learningRate.bitPattern,
                record.gradientNorm.bitPattern, record.flops.bitPattern, record.heldOutLoss?.bitPattern ?? 0,
            ]
        }
    }

    @Test(arguments: [1, 2, 3, 5])
    func aResumedRunIsTheSameBitForBit(stopAfter: Int) throws {
        let folder = try TemporaryFolder()
        let (whole, wholeRecords, outcome) = try train(.sample, in: "\(folder.path)/whole", .new)
        #expect(outcome == .finished && wholeRecords.map(\.step) == Array(1...6))

        let path = "\(folder.path)/parts"
        let (_, first, stopped) = try train(.sample, in: path, .resume, stopAfter: stopAfter)
        #expect(stopped == .stopped && first.count == stopAfter)
        let (parts, second, finished) = try train(.sample, in: path, .resume)
        #expect(finished == .finished && second.first?.step == stopAfter + 1)

        #expect(numbers(first + second) == numbers(wholeRecords))
        #expect(try numbers(lines(path)) == numbers(lines("\(folder.path)/whole")))
        for (a, b) in zip(whole.model.parameters, parts.model.parameters) { #expect(a.value.bits == b.value.bits) }
        let moments = (try whole.optimizerFile(), try parts.optimizerFile())
        #expect(moments.0.metadata == ["step": "6"] && moments.1.metadata == moments.0.metadata)
        #expect(moments.0.tensors.mapValues(\.bits) == moments.1.tensors.mapValues(\.bits))
    }

    @Test func trainingLowersTheLoss() throws {
        let folder = try TemporaryFolder()
        var configuration = RunConfiguration.sample
        configuration.training.steps = 60
        configuration.training.learningRate = 0.05
        let (_, records, _) = try train(configuration, in: folder.path, .new)
        let (first, last) = (try #require(records.first), try #require(records.last))
        #expect(last.loss < first.loss - 0.3)
        #expect(try #require(last.heldOutLoss) < first.loss - 0.3)
    }

    @Test func whatCameAfterTheCheckpointIsWrittenAgainOnce() throws {
        let folder = try TemporaryFolder()
        let (_, records, _) = try train(.sample, in: folder.path, .new)
        // As if the run had been killed in step 5: step 3 is the newest checkpoint, and a line is cut off.
        let store = RunStore(folder.path)
        try FileManager.default.removeItem(atPath: store.checkpoints.path(of: 6))
        let text = try String(contentsOfFile: store.metricsPath, encoding: .utf8)
        let kept = text.split(separator: "\n").prefix(5).joined(separator: "\n")
        try String(kept.dropLast(10)).write(toFile: store.metricsPath, atomically: true, encoding: .utf8)

        try Data().write(to: URL(fileURLWithPath: "\(folder.path)/.power-1-x.tmp"))
        let (trainer, again, _) = try train(.sample, in: folder.path, .resume)
        #expect(folder.contents == ["checkpoints", "config.json", "metrics.jsonl"])
        #expect(again.map(\.step) == [4, 5, 6] && trainer.step == 6)
        #expect(try numbers(lines(folder.path)) == numbers(records))
    }

    @Test func aFinishedRunHasNothingLeftToDo() throws {
        let folder = try TemporaryFolder()
        _ = try train(.sample, in: folder.path, .new)
        let before = try lines(folder.path)
        let (_, records, outcome) = try train(.sample, in: folder.path, .resume)
        #expect(records.isEmpty && outcome == .finished)
        #expect(try lines(folder.path) == before)
    }

    @Test func aRunMayGrow() throws {
        let folder = try TemporaryFolder()
        _ = try train(.sample, in: folder.path, .new)
        var longer = RunConfiguration.sample
        longer.training.steps = 8
        longer.training.checkpointInterval = 4
        let (_, records, _) = try train(longer, in: folder.path, .resume)
        #expect(records.map(\.step) == [7, 8])
    }

    @Test func aDifferentConfigurationIsAnErrorThatNamesTheKey() throws {
        let folder = try TemporaryFolder()
        _ = try train(.sample, in: folder.path, .new)
        func failure(_ change: (inout RunConfiguration) -> Void) -> String {
            var configuration = RunConfiguration.sample
            change(&configuration)
            do { _ = try train(configuration, in: folder.path, .resume) } catch { return "\(error)" }
            return "no error"
        }
        #expect(failure { $0.training.learningRate = 0.5 }.contains("training.learning_rate: 0.5"))
        #expect(failure { $0.training.steps = 5 }.contains("training.steps: 5"))
        #expect(failure { $0.model.width = 32 }.contains("model.width: 32"))
        #expect(failure { $0.tokenizer = "gpt2" }.contains("tokenizer: \"gpt2\""))
    }

    @Test func aFolderThatIsNotEmptyIsRefused() throws {
        let folder = try TemporaryFolder()
        try Data().write(to: URL(fileURLWithPath: "\(folder.path)/thesis.tex"))
        for mode in [RunMode.new, .overwrite, .resume] {
            #expect(throws: PowerAttentionError.self) { try train(.sample, in: folder.path, mode) }
        }
        let run = "\(folder.path)/run"
        _ = try train(.sample, in: run, .new)
        #expect(throws: PowerAttentionError.self) { try train(.sample, in: run, .new) }
        try Data().write(to: URL(fileURLWithPath: "\(run)/notes.txt"))
        #expect(try train(.sample, in: run, .overwrite).records.count == 6)
        #expect(FileManager.default.fileExists(atPath: "\(run)/notes.txt"))
    }

    @Test func oneProcessAtATime() throws {
        let folder = try TemporaryFolder()
        let trainer = try Trainer(.sample, data: .sample, store: RunStore(folder.path), mode: .new, logger: silent)
        let error = #expect(throws: PowerAttentionError.self) { try RunLock(folder.path, patience: .zero) }
        #expect(error?.given.contains("another process") == true)
        withExtendedLifetime(trainer) {}
    }

    /// A run that was killed goes on as soon as the system has taken its lock back.
    @Test func aLockThatIsLetGoSoonIsWaitedFor() throws {
        let folder = try TemporaryFolder()
        _ = try train(.sample, in: folder.path, .new, stopAfter: 3)
        let other = open(folder.path, O_RDONLY | O_DIRECTORY)
        #expect(flock(other, LOCK_EX | LOCK_NB) == 0)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(300)) { close(other) }
        #expect(try train(.sample, in: folder.path, .resume).records.map(\.step) == [4, 5, 6])
    }

    /// What another process still writes is not removed.
    @Test func aRunIsOverwrittenWhenItsProcessHasEnded() throws {
        let folder = try TemporaryFolder()
        _ = try train(.sample, in: folder.path, .new)
        let other = open(folder.path, O_RDONLY | O_DIRECTORY)
        #expect(flock(other, LOCK_EX | LOCK_NB) == 0)
        let seen = Names()
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(300)) {
            seen.names.withLock { $0 = folder.contents }
            close(other)
        }
        #expect(try train(.sample, in: folder.path, .overwrite).records.count == 6)
        #expect(seen.names.withLock { $0 } == ["checkpoints", "config.json", "metrics.jsonl"])
    }

    @Test func aRunThatBeganAtTheSameTimeIsNotWrittenOver() throws {
        let folder = try TemporaryFolder()
        let other = open(folder.path, O_RDONLY | O_DIRECTORY)
        #expect(flock(other, LOCK_EX | LOCK_NB) == 0)
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(300)) {
            _ = try? folder.write("{}".utf8, to: "config.json")
            close(other)
        }
        #expect(throws: PowerAttentionError.self) { try train(.sample, in: folder.path, .new) }
        #expect(try folder.contents == ["config.json"] && folder.read("config.json") == Data("{}".utf8))
    }

    private final class Names: Sendable {
        let names = Mutex<[String]>([])
    }

    @Test func aLossThatIsNotFiniteStopsTheRunAndKeepsTheCheckpoint() throws {
        let folder = try TemporaryFolder()
        let store = RunStore(folder.path)
        do {
            let trainer = try Trainer(.sample, data: .sample, store: store, mode: .new, logger: silent)
            let error = #expect(throws: PowerAttentionError.self) {
                try trainer.run { record in
                    guard record.step == 4 else { return }
                    let parameter = trainer.model.parameters[0]
                    parameter.value = Tensor(
                        parameter.value.shape, [Float](repeating: .nan, count: parameter.value.count))
                }
            }
            #expect(error?.code == .nonFinite && error?.argument == "step 5")
        }
        #expect(try store.checkpoints.newest()?.step == 3)
        #expect(try lines(folder.path).map(\.step) == [1, 2, 3, 4])
        let skipped = try skipped(folder.path)
        #expect(skipped.map(\.step) == [5] && skipped[0].reason == .notFinite && skipped[0].loss.isNaN)
        #expect(skipped[0].first == "the input of blocks.0.mixer_norm" && skipped[0].tokens == 5 * 96)

        // What was skipped after the checkpoint is computed again.
        let (_, again, outcome) = try train(.sample, in: folder.path, .resume)
        #expect(outcome == .finished && again.map(\.step) == [4, 5, 6])
        #expect(try self.skipped(folder.path).isEmpty && lines(folder.path).map(\.step) == Array(1...6))
    }

    /// Numbers that are finite on the way forward and not on the way back.
    @Test func aGradientThatIsNotFiniteIsNamed() throws {
        let folder = try TemporaryFolder()
        var configuration = RunConfiguration.sample
        configuration.training.skipLimit = 9
        let trainer = try Trainer(configuration, data: .sample, store: RunStore(folder.path), mode: .new, logger: silent)
        // A weight that is huge, of an input that is zero.
        for parameter in trainer.model.parameters where ["norm.weight", "norm.bias"].contains(parameter.name) {
            parameter.value = Tensor(parameter.value.shape, [Float](repeating: 0, count: parameter.value.count))
        }
        let embedding = try #require(trainer.model.parameters.first { $0.name == "embedding.weight" })
        embedding.value = Tensor(
            embedding.value.shape,
            (0..<embedding.value.count).map { Float($0.isMultiple(of: 2) ? 3e38 : -3e38) })
        _ = try trainer.run()
        let skipped = try skipped(folder.path)
        #expect(skipped.map(\.skipped) == Array(1...6))
        #expect(try lines(folder.path).isEmpty)
        #expect(skipped.allSatisfy { $0.first != nil }, "\(skipped)")
    }

    @Test func aSpikeHasALineAndChangesNothing() throws {
        let folder = try TemporaryFolder()
        var configuration = RunConfiguration.sample
        configuration.training.steps = 53
        configuration.training.skipLimit = 2
        configuration.training.spikeFactor = 1.001
        configuration.training.evaluationInterval = 0
        let trainer = try Trainer(configuration, data: .sample, store: RunStore(folder.path), mode: .new, logger: silent)
        _ = try? trainer.run { record in
            // After the fiftieth update: a head whose gradients are many times larger.
            guard record.step == 50 else { return }
            for parameter in trainer.model.parameters {
                let values = parameter.value.array(of: Float.self).map { 30 * $0 }
                parameter.value = Tensor(parameter.value.shape, values)
            }
        }
        let skipped = try skipped(folder.path)
        #expect(skipped.first?.step == 51 && skipped.first?.reason == .spike && skipped.first?.first == nil, "\(skipped)")
        #expect(skipped.first.map { $0.loss.isFinite && $0.gradientNorm.isFinite } == true)
    }
}
