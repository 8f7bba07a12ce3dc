import BackendInterface
import CPUBackend
import Foundation
import LanguageModel
import Tensors
import Testing

/// Every layer's gradients, of its input and of its parameters, against central differences in float64. The scalar that is
/// differentiated is the inner product of the output with random numbers.
@Suite struct LayerGradientTests {
    private static let kernels = CPUBackend()
    private static let rows = 6

    /// - Parameters:
    ///   - forward: the output for an input.
    ///   - backward: the input's gradient for the output's; adds those of the parameters.
    private func check(
        _ source: ParameterSource, width: Int = 8, forward: (Tensor) throws -> Tensor,
        backward: (_ x: Tensor, _ gradient: Tensor) throws -> Tensor
    ) throws {
        var generator = RandomGenerator(seed: 41)
        for parameter in source.parameters {
            parameter.move(doubles(generator.normal(parameter.value.shape, .float64)), by: 0.4)
        }
        let x = generator.normal([Self.rows, width], .float64)
        let weights = generator.normal(try forward(x).shape, .float64)
        func loss(_ x: Tensor) throws -> Double { dot(doubles(try forward(x)), doubles(weights)) }
        let gradient = doubles(try backward(x, weights))
        for index in 0..<x.count {
            let slope = try difference { step in
                var moved = x
                moved.withMutableElements(of: Double.self) { $0[index] += step }
                return try loss(moved)
            }
            #expect(abs(slope - gradient[index]) < 1e-7 * (1 + abs(slope)), "input \(index)")
        }
        for parameter in source.parameters {
            let direction = doubles(generator.normal(parameter.value.shape, .float64))
            let value = parameter.value
            let slope = try difference { step in
                defer { parameter.value = value }
                parameter.move(direction, by: step)
                return try loss(x)
            }
            let expected = dot(doubles(parameter.gradient), direction)
            #expect(abs(slope - expected) < 1e-7 * (1 + abs(slope)), "\(parameter.name)")
        }
    }

    /// The derivative at zero, by differences of fourth order.
    private func difference(_ function: (Double) throws -> Double) rethrows -> Double {
        let step = 1e-4
        return try (8 * (function(step) - function(-step)) - (function(2 * step) - function(-2 * step))) / (12 * step)
    }

    private var source: ParameterSource { .random(seed: 1, .float64) }

    @Test(arguments: [false, true]) func linear(bias: Bool) throws {
        let source = source
        let layer = try Linear("linear", inputs: 8, outputs: 5, bias: bias, source, Self.kernels)
        try check(source, forward: layer.forward) { x, gradient in
            var inputGradient = Tensor(x.shape, .float64)
            try layer.backward(x, gradient: gradient, into: &inputGradient, accumulate: false)
            return inputGradient
        }
    }

    @Test func layerNorm() throws {
        let source = source
        let layer = try LayerNorm("norm", width: 8, source, Self.kernels)
        try check(source, forward: { try layer.forward($0).0 }) { x, gradient in
            var inputGradient = Tensor(x.shape, .float64)
            try layer.backward(layer.forward(x).1, gradient: gradient, into: &inputGradient, accumulate: true)
            return inputGradient
        }
    }

    @Test func rmsNorm() throws {
        let source = source
        let layer = try RMSNorm("norm", width: 8, source, Self.kernels)
        try check(source, forward: { try layer.forward($0).0 }) { x, gradient in
            var inputGradient = Tensor(x.shape, .float64)
            try layer.backward(layer.forward(x).1, gradient: gradient, into: &inputGradient, accumulate: true)
            return inputGradient
        }
    }

    @Test(arguments: ModelConfiguration.Activation.allCases, [false, true])
    func mlp(activation: ModelConfiguration.Activation, biases: Bool) throws {
        let source = source
        let layer = try MLP("mlp", SmallModels.configuration(mlp: activation, biases: biases), source, Self.kernels)
        func output(_ x: Tensor) throws -> (Tensor, MLP.Context) {
            var sum = Tensor(x.shape, .float64)
            let context = try layer.forward(x, addingTo: &sum)
            return (sum, context)
        }
        try check(source, forward: { try output($0).0 }) { x, gradient in
            try layer.backward(output(x).1, gradient: gradient)
        }
    }

    @Test func gate() throws {
        let source = source
        let layer = try Gate("gate", width: 8, heads: 3, source, Self.kernels)
        try check(source, forward: { try layer.forward($0).0 }) { x, gradient in
            var inputGradient = Tensor(x.shape, .float64)
            try layer.backward(layer.forward(x).1, gradient: gradient, addingTo: &inputGradient)
            return inputGradient
        }
    }

    /// Before training a gate keeps 0.999 of the past, whatever its input.
    @Test func gateAtTheStart() throws {
        let layer = try Gate("gate", width: 8, heads: 3, .random(seed: 1, .float64), Self.kernels)
        var generator = RandomGenerator(seed: 2)
        let gates = doubles(try layer.forward(generator.normal([5, 8], .float64, scale: 10)).0)
        #expect(gates.allSatisfy { abs(exp($0) - 0.999) < 1e-7 })
    }

    @Test(arguments: SmallModels.mixers, [false, true]) func sequenceMixer(mixer: Mixer, gated: Bool) throws {
        let source = source
        let configuration = SmallModels.configuration(mixer: mixer, gated: gated, biases: true)
        let layer = try SequenceMixer("mixer", configuration, source, Self.kernels)
        let layout = layout(configuration)
        func output(_ x: Tensor) throws -> (Tensor, SequenceMixer.Context) {
            var sum = Tensor(x.shape, .float64)
            let context = try layer.forward(x, layout, addingTo: &sum)
            return (sum, context)
        }
        try check(source, forward: { try output($0).0 }) { x, gradient in
            try layer.backward(output(x).1, layout, gradient: gradient)
        }
    }

    @Test(arguments: ModelConfiguration.Normalization.allCases)
    func block(norm: ModelConfiguration.Normalization) throws {
        let source = source
        let configuration = SmallModels.configuration(norm: norm)
        let layer = try Block("block", configuration, source, Self.kernels)
        let layout = layout(configuration)
        try check(source, forward: { try output(layer, $0, layout).0 }) { x, gradient in
            var gradient = gradient
            try layer.backward(output(layer, x, layout).1, layout, gradient: &gradient)
            return gradient
        }
    }

    /// The residual stream after a block.
    private func output(_ block: Block, _ x: Tensor, _ layout: SequenceLayout) throws -> (Tensor, Block.Context) {
        var x = x
        let context = try block.forward(&x, layout)
        return (x, context)
    }

    /// Two sequences of three tokens.
    private func layout(_ configuration: ModelConfiguration) -> SequenceLayout {
        SequenceLayout(
            batch: 2, length: 3,
            positions: RotaryPositions(0..<3, headWidth: configuration.keyWidth, base: 100, .float64))
    }

    @Test func embedding() throws {
        let source = source
        let layer = try Embedding("embedding", vocabulary: 5, width: 3, source, Self.kernels)
        var generator = RandomGenerator(seed: 3)
        let tokens = Tensor([4], [4, 0, 4, 4] as [Int32])
        let outer = generator.normal([4, 3], .float64)
        try layer.backward(tokens, gradient: outer)
        let direction = doubles(generator.normal([5, 3], .float64))
        let slope = try difference { step in
            let value = source.parameters[0].value
            defer { source.parameters[0].value = value }
            source.parameters[0].move(direction, by: step)
            return dot(doubles(try layer.forward(tokens)), doubles(outer))
        }
        #expect(abs(slope - dot(doubles(source.parameters[0].gradient), direction)) < 1e-8)
    }

    /// Losses and gradients, whatever the number of rows whose logits exist at a time; rows without a target give nothing.
    @Test(arguments: [1, 20, 33, 1000]) func head(chunkElements: Int) throws {
        let source = source
        let weight = try source.make("head", [11, 8], .normal(deviation: 1), decays: true)
        let head = Head(weight: weight, Self.kernels, chunkElements: chunkElements)
        let targets = Tensor([6], [3, 0, -1, 10, 7, -5] as [Int32])
        func loss(_ x: Tensor) throws -> Tensor {
            Tensor([1], [doubles(try head.losses(x, targets: targets)).reduce(0, +)])
        }
        try check(source, forward: loss) { x, gradient in
            let (losses, inputGradient) = try head.backward(x, targets: targets, gradientScale: doubles(gradient)[0])
            #expect(abs(doubles(losses).reduce(0, +) - doubles(try loss(x))[0]) < 1e-12)
            return inputGradient
        }
    }
}
