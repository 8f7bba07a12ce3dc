import LanguageModel
import Testing

import Training

/// What runs are expected to take of a card's memory. That they do is seen in `power train`, which prints both.
@Suite struct DeviceMemoryEstimateTests {
    private static let card = 79 << 30

    private func configuration(layers: Int, width: Int, heads: Int, context: Int) -> RunConfiguration {
        var configuration = RunConfiguration()
        configuration.model = ModelConfiguration(vocabularySize: 50_257, layers: layers, width: width, heads: heads)
        configuration.training.batchSize = 1
        configuration.training.context = context
        return configuration
    }

    /// The largest models that one card of 80 GB shall train.
    @Test func longContextsFitWithRecomputation() throws {
        for (layers, width, heads, context) in [(12, 768, 12, 262_144), (24, 2048, 32, 65_536)] {
            var configuration = configuration(layers: layers, width: width, heads: heads, context: context)
            let kept = try DeviceMemoryEstimate(configuration)
            configuration.training.recomputation = true
            let recomputed = try DeviceMemoryEstimate(configuration)
            #expect(kept.total > Self.card && recomputed.total < Self.card, "\(kept), \(recomputed)")
            #expect(kept.parameters == recomputed.parameters && kept.scratch == recomputed.scratch)
        }
        #expect(try DeviceMemoryEstimate(configuration(layers: 12, width: 768, heads: 12, context: 65_536)).total < Self.card)
    }

    @Test func partsOfAStepSaveMemory() throws {
        var configuration = configuration(layers: 12, width: 768, heads: 12, context: 1024)
        configuration.training.batchSize = 64
        let whole = try DeviceMemoryEstimate(configuration)
        configuration.training.accumulation = 8
        let parts = try DeviceMemoryEstimate(configuration)
        #expect(parts.activations < whole.activations / 7)
    }
}
