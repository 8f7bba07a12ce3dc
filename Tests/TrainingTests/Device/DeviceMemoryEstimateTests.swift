import CUDABackend
import LanguageModel
import Testing

import Training

/// What runs are expected to take of a card's memory. `DeviceMemoryTests` holds it against what they take.
@Suite struct DeviceMemoryEstimateTests {
    private static let card = 79 << 30
    private static let hopper = CardLimits(architecture: "sm_90a")

    private func configuration(layers: Int, width: Int, heads: Int, context: Int) -> RunConfiguration {
        var configuration = RunConfiguration()
        configuration.model = ModelConfiguration(vocabularySize: 50_257, layers: layers, width: width, heads: heads)
        configuration.training.batchSize = 1
        configuration.training.context = context
        return configuration
    }

    private func estimate(
        _ configuration: RunConfiguration, on card: CardLimits = hopper, heldOut: (windows: Int, context: Int)? = nil
    ) throws -> DeviceMemoryEstimate {
        try DeviceMemoryEstimate(configuration, on: card, heldOut: heldOut)
    }

    /// An H100 took 31.3 GiB for this run.
    @Test func anH100TookSoMuch() throws {
        let total = try estimate(configuration(layers: 12, width: 768, heads: 12, context: 65_536)).total
        #expect(abs(Double(total) / Double(1 << 30) - 31.3) < 0.3, "\(total)")
    }

    /// The largest models that one card of 80 GB shall train.
    @Test func longContextsFitWithRecomputation() throws {
        for (layers, width, heads, context) in [(12, 768, 12, 262_144), (24, 2048, 32, 65_536)] {
            var configuration = configuration(layers: layers, width: width, heads: heads, context: context)
            let kept = try estimate(configuration)
            configuration.training.recomputation = true
            let recomputed = try estimate(configuration)
            #expect(kept.total > Self.card && recomputed.total < Self.card, "\(kept), \(recomputed)")
            #expect(kept.parameters == recomputed.parameters && recomputed.step < kept.step / 2)
        }
    }

    @Test func partsOfAStepSaveMemory() throws {
        var configuration = configuration(layers: 12, width: 768, heads: 12, context: 1024)
        configuration.training.batchSize = 64
        let whole = try estimate(configuration)
        configuration.training.accumulation = 8
        let parts = try estimate(configuration)
        #expect(parts.step < whole.step / 6 && parts.parameters == whole.parameters)
    }

    /// The losses of held-out windows need no backward pass, but logits and a block beside the recorded step.
    @Test func heldOutWindowsComeOnTop() throws {
        let configuration = configuration(layers: 12, width: 768, heads: 12, context: 65_536)
        let (without, with) = (try estimate(configuration), try estimate(configuration, heldOut: (4, 65_536)))
        #expect(without.evaluation == 0 && with.step == without.step)
        #expect(with.evaluation > 65_536 * 768 * 2 * 10 && with.evaluation < with.step / 4, "\(with)")
        #expect(try estimate(configuration, heldOut: (4, 1024)).evaluation < with.evaluation / 2)
    }

    /// Without the kernels of warpgroups gradients of queries and keys are tensors of their own, and the problems are served in another way.
    @Test func theKernelsOfTheCardCount() throws {
        let configuration = configuration(layers: 12, width: 768, heads: 12, context: 65_536)
        let (hopper, ampere) = (try estimate(configuration), try estimate(configuration, on: CardLimits(architecture: "sm_80")))
        #expect(ampere.step != hopper.step && ampere.parameters == hopper.parameters)
    }
}
