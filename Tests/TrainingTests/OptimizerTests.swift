import BackendInterface
import CPUBackend
import Foundation
import LanguageModel
import Tensors
import Testing

import Training

@Suite struct OptimizerTests {
    @Test func clippingScalesDownToTheLimitAndNeverUp() {
        #expect(Optimizer.clippingScale(norm: 4, limit: 1) == 0.25)
        #expect(Optimizer.clippingScale(norm: 0.5, limit: 1) == 1)
        #expect(Optimizer.clippingScale(norm: 0, limit: 1) == 1)
        #expect(Optimizer.clippingScale(norm: 1e9, limit: 0) == 1)
    }

    /// Three updates against the formula, in double.
    @Test func followsAdamWAndDecaysMatricesOnly() throws {
        let model = try LanguageModel(RunConfiguration.sample.model, seed: 1)
        var configuration = TrainingConfiguration()
        configuration.weightDecay = 0.5
        let decaying = try #require(model.parameters.first { $0.decays })
        let other = try #require(model.parameters.first { !$0.decays })
        let chosen = [decaying, other]
        var optimizer = Optimizer(chosen)
        var expected = chosen.map { parameter in parameter.value.array(of: Float.self).map(Double.init) }
        var (first, second) = (expected.map { $0.map { _ in 0.0 } }, expected.map { $0.map { _ in 0.0 } })
        var generator = RandomGenerator(seed: 8)
        for step in 1...3 {
            for (index, parameter) in chosen.enumerated() {
                parameter.gradient = generator.normal(parameter.value.shape)
                let gradient = parameter.gradient.array(of: Float.self)
                for element in gradient.indices {
                    let g = Double(gradient[element]) * 0.25
                    first[index][element] = 0.9 * first[index][element] + 0.1 * g
                    second[index][element] = 0.95 * second[index][element] + 0.05 * g * g
                    let m = first[index][element] / (1 - pow(0.9, Double(step)))
                    let v = second[index][element] / (1 - pow(0.95, Double(step)))
                    let decay = parameter.decays ? 0.5 * expected[index][element] : 0
                    expected[index][element] -= 0.01 * (m / (v.squareRoot() + 1e-8) + decay)
                }
            }
            optimizer.update(chosen, learningRate: 0.01, gradientScale: 0.25, configuration, CPUBackend())
        }
        for (index, parameter) in chosen.enumerated() {
            for (value, reference) in zip(parameter.value.array(of: Float.self), expected[index]) {
                #expect(abs(Double(value) - reference) < 1e-5)
            }
        }
    }

    @Test func theNormIsOverAllParameters() throws {
        let model = try LanguageModel(RunConfiguration.sample.model, seed: 1)
        var generator = RandomGenerator(seed: 2)
        var sum = 0.0
        for parameter in model.parameters {
            parameter.gradient = generator.normal(parameter.value.shape)
            sum += parameter.gradient.array(of: Float.self).reduce(0) { $0 + Double($1) * Double($1) }
        }
        let norm = Optimizer.gradientNorm(model.parameters, CPUBackend())
        #expect(abs(norm - sum.squareRoot()) < 1e-6 * norm)
    }

    @Test func comesBackFromItsFile() throws {
        let model = try LanguageModel(RunConfiguration.sample.model, seed: 1)
        var optimizer = Optimizer(model.parameters)
        for parameter in model.parameters {
            parameter.gradient = Tensor(parameter.value.shape, [Float](repeating: 0.5, count: parameter.value.count))
        }
        optimizer.update(model.parameters, learningRate: 0.1, gradientScale: 1, TrainingConfiguration(), CPUBackend())
        var file = optimizer.file(model.parameters)
        let back = try Optimizer(file, model.parameters, path: "x")
        #expect(back.step == 1)
        #expect(back.firstMoments.map(\.bits) == optimizer.firstMoments.map(\.bits))
        #expect(back.secondMoments.map(\.bits) == optimizer.secondMoments.map(\.bits))
        file.tensors["first.\(model.parameters[0].name)"] = Tensor([1], .float32)
        #expect(throws: PowerAttentionError.self) { try Optimizer(file, model.parameters, path: "x") }
    }
}
