import CUDABackend
import Foundation
import LanguageModel
import Logging
import PowerAttention
import Tensors
import TestSupport
import Testing

import Training

/// Training on a card, where there is one: the same run folder, the same curve, to the bit from any checkpoint.
@Suite(.serialized, .enabled(if: (try? CUDABackend.shared().layers()) != nil)) struct DeviceTrainingTests {
    @discardableResult
    private func train(
        _ configuration: RunConfiguration, in path: String, _ mode: RunMode, device: Device = .cuda, stopAfter: Int? = nil
    ) throws -> (trainer: Trainer, records: [StepRecord]) {
        let trainer = try Trainer(
            configuration, data: .sample, store: RunStore(path), mode: mode, device: device, logger: silent)
        var records: [StepRecord] = []
        _ = try trainer.run {
            records.append($0)
        } shouldStop: {
            stopAfter.map { trainer.step >= $0 } ?? false
        }
        return (trainer, records)
    }

    private func bits(_ trainer: Trainer) throws -> [String: String] {
        let files = (try trainer.model.weights(), try trainer.optimizerFile())
        return files.0.tensors.merging(files.1.tensors) { a, _ in a }.mapValues(\.bits)
    }

    /// Fifty steps in bfloat16 and in float32 on the CPU. Rounding moves every loss a little, in no direction: what is asked is a tenth of
    /// what a step gains.
    @Test func followsTheCurveOfTheCPU() throws {
        let folder = try TemporaryFolder()
        var configuration = RunConfiguration.sample
        configuration.training.steps = 50
        configuration.training.learningRate = 3e-3
        let host = try train(configuration, in: "\(folder.path)/host", .new, device: .cpu).records
        let card = try train(configuration, in: "\(folder.path)/card", .new).records
        #expect(host.map(\.step) == card.map(\.step))
        for (a, b) in zip(host, card) {
            #expect(abs(a.loss - b.loss) < 0.02, "step \(a.step): \(a.loss) on the CPU, \(b.loss)")
            #expect((a.heldOutLoss == nil) == (b.heldOutLoss == nil))
        }
        #expect(try #require(card.last).loss < card[0].loss - 0.3)
        #expect(card.allSatisfy { ($0.memory ?? 0) > 0 })
    }

    /// A run that stops, also between checkpoints, and goes on is the run in one piece.
    @Test func resumesBitForBit() throws {
        let folder = try TemporaryFolder()
        let whole = try train(.sample, in: "\(folder.path)/whole", .new)
        try train(.sample, in: "\(folder.path)/parts", .new, stopAfter: 4)
        let parts = try train(.sample, in: "\(folder.path)/parts", .resume)
        #expect(parts.records.map(\.loss) == whole.records.suffix(parts.records.count).map(\.loss))
        #expect(try bits(parts.trainer) == bits(whole.trainer))
    }

    /// A checkpoint of the card is one of the CPU.
    @Test func checkpointsAreThoseOfTheCPU() throws {
        let folder = try TemporaryFolder()
        try train(.sample, in: folder.path, .new, stopAfter: 3)
        #expect(RunStore(folder.path).checkpoints.device() == .cuda)
        let host = try train(.sample, in: folder.path, .resume, device: .cpu)
        #expect(host.trainer.step == 6 && RunStore(folder.path).checkpoints.device() == .cpu)
        #expect(try Checkpoint(at: folder.path).loadModel().device == .cpu)
    }

    private func lines(_ path: String) throws -> (skipped: [SkippedStep], changed: [StepRecord]) {
        let text = try String(contentsOfFile: RunStore(path).metricsPath, encoding: .utf8)
        var result: (skipped: [SkippedStep], changed: [StepRecord]) = ([], [])
        for line in text.split(separator: "\n") {
            switch try MetricsLine.Decoder().line(Data(line.utf8)) {
            case .skipped(let record): result.skipped.append(record)
            case .step(let record): result.changed.append(record)
            }
        }
        return result
    }

    /// Every step has a line, whether it changed something or not, and those after it count it.
    @Test func aSpikeHasALineAndChangesNothing() throws {
        let folder = try TemporaryFolder()
        var configuration = RunConfiguration.sample
        configuration.training.steps = 54
        configuration.training.skipLimit = 4
        configuration.training.spikeFactor = 1.001
        configuration.training.evaluationInterval = 0
        configuration.training.checkpointInterval = 50
        let trainer = try Trainer(
            configuration, data: .sample, store: RunStore(folder.path), mode: .new, device: .cuda, logger: silent)
        _ = try trainer.run { record in
            // After the fiftieth update: a head whose gradients are many times larger.
            guard record.step == 50 else { return }
            for parameter in trainer.model.parameters {
                let values = try? parameter.value.onHost().array(of: Float.self).map { 30 * $0 }
                if let values { try? parameter.load(Tensor(parameter.value.shape, values)) }
            }
        }
        let (skipped, changed) = try lines(folder.path)
        #expect((skipped.map(\.step) + changed.map(\.step)).sorted() == Array(1...54))
        #expect(skipped.map(\.step) == [51, 52, 53, 54] && skipped.map(\.skipped) == [1, 2, 3, 4], "\(skipped)")
        #expect(skipped.allSatisfy { $0.reason == .spike && $0.first == nil && $0.loss.isFinite && $0.gradientNorm.isFinite })
        #expect(skipped.map(\.tokens) == [51, 52, 53, 54].map { $0 * configuration.training.tokensPerStep })
    }

    /// Weights that are not numbers: the step is skipped and named, and the run ends where too many are.
    @Test func stepsThatAreNotFiniteAreSkippedAndNamed() throws {
        let folder = try TemporaryFolder()
        var configuration = RunConfiguration.sample
        configuration.training.skipLimit = 1
        let trainer = try Trainer(
            configuration, data: .sample, store: RunStore(folder.path), mode: .new, device: .cuda, logger: silent)
        let parameter = try #require(trainer.model.parameters.first { $0.name == "blocks.0.mlp.output.weight" })
        try parameter.load(Tensor(parameter.value.shape, [Float](repeating: .nan, count: parameter.value.count)))
        let error = #expect(throws: PowerAttentionError.self) { try trainer.run() }
        #expect(error?.code == .nonFinite && error?.argument == "step 2")
        #expect(error?.given.contains("input of norm") == true, "\(error?.given ?? "")")
        let (skipped, changed) = try lines(folder.path)
        #expect(skipped.map(\.step) == [1, 2] && skipped.map(\.skipped) == [1, 2] && changed.isEmpty)
        #expect(skipped.allSatisfy { $0.first == "the input of norm" && $0.reason == .notFinite && $0.loss.isNaN })
        for parameter in trainer.model.parameters where parameter.name == "blocks.0.mixer.query.weight" {
            #expect(try parameter.value.onHost().array(of: Float.self).allSatisfy(\.isFinite))
        }
    }
}
