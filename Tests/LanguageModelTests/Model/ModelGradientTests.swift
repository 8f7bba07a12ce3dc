import LanguageModel
import Tensors
import Testing

/// The gradients of whole models against central finite differences in float64.
@Suite struct ModelGradientTests {
    /// Every parameter, along a random direction: the derivative is `gradient · direction`.
    private func check(_ configuration: ModelConfiguration) throws {
        var generator = RandomGenerator(seed: 21)
        let model = try LanguageModel(configuration, seed: 1, dataType: .float64)
        model.perturb(&generator)
        let batch = Batch(2, 6, vocabulary: configuration.vocabularySize, &generator)
        let loss = try batch.accumulate(model)
        #expect(abs(loss - (try batch.meanLoss(model))) < 1e-12)
        for parameter in model.parameters {
            let direction = doubles(generator.normal(parameter.value.shape, .float64))
            let gradient = doubles(parameter.gradient)
            let value = parameter.value
            func loss(_ distance: Double) throws -> Double {
                defer { parameter.value = value }
                parameter.move(direction, by: distance)
                return try batch.meanLoss(model)
            }
            // Normalizers near zero curve the loss: differences of fourth order.
            let step = 2e-5
            let derivative =
                try (8 * (loss(step) - loss(-step)) - (loss(2 * step) - loss(-2 * step))) / (12 * step)
            let scale = dot(gradient, gradient).squareRoot() * dot(direction, direction).squareRoot()
            #expect(
                abs(derivative - dot(gradient, direction)) <= 3e-7 * scale + 1e-10,
                "\(parameter.name): \(derivative) by differences, \(dot(gradient, direction)) by the backward pass")
        }
    }

    @Test(arguments: SmallModels.mixers, [false, true])
    func mixersNormsAndMLPs(mixer: Mixer, gated: Bool) throws {
        for norm in ModelConfiguration.Normalization.allCases {
            for mlp in ModelConfiguration.Activation.allCases {
                try check(SmallModels.configuration(mixer: mixer, norm: norm, mlp: mlp, gated: gated))
            }
        }
    }

    @Test(arguments: [false, true], [false, true])
    func tiesAndBiases(tied: Bool, biases: Bool) throws {
        try check(SmallModels.configuration(tied: tied, biases: biases))
    }

    /// The same model in float32, on its kernels, against float64, on the reference.
    @Test(arguments: SmallModels.mixers, [false, true])
    func singlePrecision(mixer: Mixer, gated: Bool) throws {
        let configuration = ModelConfiguration(
            vocabularySize: 31, layers: 2, width: 32, heads: 4, keyValueHeads: 2, mixer: mixer, gated: gated)
        var generator = RandomGenerator(seed: 22)
        let double = try LanguageModel(configuration, seed: 5, dataType: .float64)
        let single = try LanguageModel(configuration, seed: 5)
        let batch = Batch(2, 40, vocabulary: 31, &generator)
        double.perturb(&generator, deviation: 0.1)
        for (a, b) in zip(single.parameters, double.parameters) {
            a.value = b.value.converted(to: .float32)
            b.value = a.value.converted(to: .float64)
        }
        let loss = try batch.accumulate(double)
        #expect(abs(try batch.accumulate(single) / loss - 1) < 1e-6)
        for (a, b) in zip(single.parameters, double.parameters) {
            #expect(relativeError(doubles(a.gradient), doubles(b.gradient)) < 1e-4, "\(a.name)")
        }
    }
}
