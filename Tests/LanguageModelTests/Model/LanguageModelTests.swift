import Foundation
import LanguageModel
import Tensors
import Testing

@Suite struct LanguageModelTests {
    /// An untrained model knows nothing: its loss is that of a uniform guess.
    @Test func lossAtTheStart() throws {
        var generator = RandomGenerator(seed: 1)
        let model = try LanguageModel(ModelConfiguration(vocabularySize: 257, layers: 2, width: 64), seed: 3)
        let batch = Batch(2, 50, vocabulary: 257, &generator)
        #expect(abs(try batch.meanLoss(model) - log(257)) < 0.1)
    }

    @Test func startAsGPT2() throws {
        let layers = 3
        let model = try LanguageModel(
            ModelConfiguration(vocabularySize: 500, layers: layers, width: 64, biases: true), seed: 3)
        for parameter in model.parameters {
            let values = doubles(parameter.value)
            let deviation = (values.reduce(0) { $0 + $1 * $1 } / Double(values.count)).squareRoot()
            let parts = parameter.name.split(separator: ".")
            let expected: Double
            switch (parts.dropLast().last, parts.last) {
            case ("gate", "bias"): expected = 6.906768
            case ("norm", "weight"), ("mixer_norm", "weight"), ("mlp_norm", "weight"): expected = 1
            case (_, "bias"), ("gate", _): expected = 0
            case ("output", _): expected = 0.02 / Double(2 * layers).squareRoot()
            default: expected = 0.02
            }
            #expect(abs(deviation - expected) <= 0.04 * expected, "\(parameter.name)")
            let matrix = parts.last == "weight" && parameter.value.shape.count == 2
            #expect(parameter.decays == matrix, "\(parameter.name)")
        }
        #expect(Set(model.parameters.map(\.name)).count == model.parameters.count)
        #expect(model.parameters.map(\.value.count).reduce(0, +) == model.configuration.parameterCount)
    }

    /// Names are part of the checkpoint format.
    @Test func parameterNames() throws {
        let model = try LanguageModel(
            ModelConfiguration(vocabularySize: 5, layers: 1, width: 8, heads: 2, norm: .rmsNorm, tiedEmbeddings: false), seed: 1
        )
        #expect(
            model.parameters.map(\.name) == [
                "embedding.weight", "blocks.0.mixer_norm.weight", "blocks.0.mixer.query.weight", "blocks.0.mixer.key.weight",
                "blocks.0.mixer.value.weight", "blocks.0.mixer.gate.weight", "blocks.0.mixer.gate.bias",
                "blocks.0.mixer.output.weight", "blocks.0.mlp_norm.weight", "blocks.0.mlp.input.weight",
                "blocks.0.mlp.output.weight", "norm.weight", "head.weight",
            ])
    }

    /// The same seed gives the same numbers on every machine: these are fixed for good.
    @Test func seed() throws {
        let configuration = SmallModels.configuration()
        func values(_ seed: UInt64) throws -> [[Float]] {
            try LanguageModel(configuration, seed: seed).parameters.map { $0.value.array(of: Float.self) }
        }
        let first = try values(7)
        #expect(try values(7) == first)
        #expect(try values(8) != first)
        #expect(first[0][0..<3].map(\.bitPattern) == [0xBA5A_D886, 0x3C8F_9A4C, 0xBBC8_88CD])
    }

    @Test(arguments: SmallModels.mixers) func sameBits(mixer: Mixer) throws {
        var generator = RandomGenerator(seed: 2)
        let model = try LanguageModel(
            ModelConfiguration(vocabularySize: 300, layers: 2, width: 64, mixer: mixer), seed: 3)
        let batch = Batch(3, 150, vocabulary: 300, &generator)
        func run() throws -> [[Float]] {
            try model.zeroGradients()
            let loss = try batch.accumulate(model)
            return [[Float(loss)]] + model.parameters.map { $0.gradient.array(of: Float.self) }
        }
        let first = try run()
        for _ in 0..<3 { #expect(try run() == first) }
    }

    @Test func microBatches() throws {
        var generator = RandomGenerator(seed: 4)
        let model = try LanguageModel(SmallModels.configuration(), seed: 3, dataType: .float64)
        model.perturb(&generator)
        let whole = Batch(4, 10, vocabulary: 11, &generator, unscored: false)
        let loss = try whole.accumulate(model)
        let gradients = model.parameters.map { doubles($0.gradient) }
        try model.zeroGradients()
        #expect(model.parameters.allSatisfy { doubles($0.gradient).allSatisfy { $0 == 0 } })
        var mean = 0.0
        for part in 0..<4 {
            let rows = part * 10..<(part + 1) * 10
            mean +=
                try model.accumulateGradients(
                    Array(whole.tokens[rows]), targets: Array(whole.targets[rows]), batch: 1, length: 10, scale: 0.25) / 4
        }
        #expect(abs(mean - loss) < 1e-12)
        for (parameter, gradient) in zip(model.parameters, gradients) {
            #expect(relativeError(doubles(parameter.gradient), gradient) < 1e-12, "\(parameter.name)")
        }
    }

    /// A later token changes nothing before it.
    @Test(arguments: SmallModels.mixers) func causality(mixer: Mixer) throws {
        var generator = RandomGenerator(seed: 6)
        let model = try LanguageModel(SmallModels.configuration(mixer: mixer), seed: 3)
        model.perturb(&generator)
        let batch = Batch(1, 30, vocabulary: 11, &generator)
        var tokens = batch.tokens
        tokens[20] = (tokens[20] + 1) % 11
        let before = doubles(try model.losses(batch.tokens, targets: batch.targets, batch: 1, length: 30))
        let after = doubles(try model.losses(tokens, targets: batch.targets, batch: 1, length: 30))
        #expect(relativeError(Array(before[..<20]), Array(after[..<20])) < 1e-6)
        #expect(relativeError(Array(before[20...]), Array(after[20...])) > 1e-3)
    }

    @Test func errors() throws {
        let model = try LanguageModel(SmallModels.configuration(), seed: 3)
        func argument(_ tokens: [Int32], _ targets: [Int32], _ batch: Int, _ length: Int) -> String? {
            do {
                _ = try model.losses(tokens, targets: targets, batch: batch, length: length)
                return nil
            } catch { return error.argument }
        }
        #expect(argument([1, 2], [2, 3], 1, 2) == nil)
        #expect(argument([1, 2], [2, 3], 0, 2) == "batch")
        #expect(argument([1, 2], [2, 3], 1, -1) == "length")
        #expect(argument([1, 2], [2, 3], 1, 3) == "tokens")
        #expect(argument([1, 2], [2, 3], .max, .max) == "tokens")
        #expect(argument([1, 2], [2], 1, 2) == "targets")
        #expect(argument([1, 11], [2, 3], 1, 2) == "tokens")
        #expect(argument([-1, 1], [2, 3], 1, 2) == "tokens")
        #expect(argument([1, 2], [2, 11], 1, 2) == "targets")
        #expect(argument([1, 2], [-1, .min], 1, 2) == nil)
        #expect(throws: PowerAttentionError.self) {
            try LanguageModel(SmallModels.configuration(), seed: 1, dataType: .bfloat16)
        }
        let giant = ModelConfiguration(vocabularySize: 1 << 24, layers: 1024, width: 1 << 16, heads: 512)
        #expect(throws: PowerAttentionError.self) { try LanguageModel(giant, seed: 1) }
    }
}
