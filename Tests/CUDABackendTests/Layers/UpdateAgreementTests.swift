import BackendInterface
import CPUBackend
import CUDABackend
import CUDARuntime
import Foundation
import Tensors
import Testing

/// The optimizer's step over several parameters at once against the CPU's in float64, one parameter after the other.
///
/// Parameters begin and end at all places of a piece: with numbers behind the last group of four, in either half, of whole pieces, of several.
@Suite(.serialized, .enabled(if: CardLayers.isAvailable)) struct UpdateAgreementTests {
    private static let counts = [3, 2_050, 4_096, 6_147, 20_000]

    private typealias Pair = CardLayers.Pair

    /// The parameters of a model, their copies as activations, and their update.
    private struct Parameters {
        var card: CardLayers
        var values, gradients, first, second: [Pair]
        let copies: [Tensor?]
        let update: DeviceUpdate
        /// The parameter whose gradient is kept, with numbers behind the last group of four.
        private static let kept = 1

        init(_ type: DataType) throws {
            var random = try CardLayers(type)
            let layers = random.layers
            var (values, gradients, first, second) = ([Pair](), [Pair](), [Pair](), [Pair]())
            var (copies, entries): ([Tensor?], [DeviceUpdate.Entry]) = ([], [])
            for (index, count) in UpdateAgreementTests.counts.enumerated() {
                values.append(random.random([count], .float32))
                gradients.append(random.random([count], .float32, scale: 1e-3))
                first.append(random.random([count], .float32, scale: 1e-3))
                let squares = doubles(random.random([count], .float32, scale: 1e-6).host).map(abs)
                let rounded = Tensor([count], squares).converted(to: .float32)
                second.append(.init(card: try layers.place(rounded), host: rounded.converted(to: .float64)))
                copies.append(type == .bfloat16 && index != 2 ? try layers.place(Tensor([count], type)) : nil)
                entries.append(
                    DeviceUpdate.Entry(
                        value: values[index].card, gradient: gradients[index].card, firstMoment: first[index].card,
                        secondMoment: second[index].card, copy: copies[index], decays: index % 2 == 0,
                        keepsGradient: index == Self.kept))
            }
            update = try DeviceUpdate(layers, entries, normWeights: [values[0].card], history: UpdateHistory())
            (self.values, self.gradients, self.first, self.second) = (values, gradients, first, second)
            self.copies = copies
            card = random
        }

        func step(clip: Double) throws -> UpdateRecord {
            let (numbers, record) = (try update.makeNumbers(), try update.makeRecord())
            try update.give(
                UpdateNumbers(
                    learningRate: 1e-3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1,
                    firstCorrection: 1 / (1 - pow(0.9, 3)), secondCorrection: 1 / (1 - pow(0.95, 3)), clip: clip, spike: 0,
                    patience: 0), through: numbers)
            try update.queue()
            try update.fetch(into: record)
            _ = try update.currentHistory()
            return record.bytes.load(as: UpdateRecord.self)
        }

        func expectNoGradients() throws {
            for (index, gradient) in gradients.enumerated() {
                let numbers = doubles(try gradient.card.onHost())
                #expect(index == Self.kept ? numbers == doubles(gradient.host) : numbers.allSatisfy { $0 == 0 })
            }
        }
    }

    @Test(arguments: CardLayers.types, [0, 0.01]) func updates(type: DataType, clip: Double) throws {
        var parameters = try Parameters(type)
        let norm = parameters.gradients.reduce(0) { $0 + parameters.card.host.sumOfSquares($1.host) }.squareRoot()
        let record = try parameters.step(clip: clip)
        #expect(record.skipped == 0 && record.parameter == -1 && abs(record.norm / norm - 1) < 1e-6)
        let scale = clip > 0 ? clip / norm : 1
        for index in Self.counts.indices {
            parameters.card.host.adamW(
                &parameters.values[index].host, gradient: parameters.gradients[index].host,
                firstMoment: &parameters.first[index].host, secondMoment: &parameters.second[index].host,
                step: AdamWStep(
                    learningRate: 1e-3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: index % 2 == 0 ? 0.1 : 0,
                    gradientScale: scale, step: 3))
            for pair in [parameters.values[index], parameters.first[index], parameters.second[index]] {
                #expect(relativeError(doubles(try pair.card.onHost()), doubles(pair.host)) < 1e-5)
            }
            guard let copy = parameters.copies[index] else { continue }
            #expect(doubles(try copy.onHost()) == doubles(try parameters.values[index].card.onHost().converted(to: type)))
        }
        try parameters.expectNoGradients()
    }

    /// One number that is none, behind the last group of four of a parameter, and nothing changes.
    @Test func skips() throws {
        let parameters = try Parameters(.bfloat16)
        var numbers = doubles(parameters.gradients[3].host)
        numbers[6_146] = .nan
        try parameters.gradients[3].card.overwrite(with: Tensor([numbers.count], numbers).converted(to: .float32))
        let record = try parameters.step(clip: 1)
        #expect(record.skipped == 1 && record.parameter == 3)
        for index in Self.counts.indices {
            for pair in [parameters.values[index], parameters.first[index], parameters.second[index]] {
                #expect(doubles(try pair.card.onHost()) == doubles(pair.host))
            }
        }
        try parameters.expectNoGradients()
    }
}
