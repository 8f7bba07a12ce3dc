package import BackendInterface
import Foundation
package import LanguageModel
package import Tensors

/// AdamW (Loshchilov, Hutter 2019) over the parameters of a model, with the gradients' global norm clipped first:
///
///     g ← g · min(1, clip / ‖g‖)          ‖g‖ over all parameters together
///     m ← β₁ m + (1 − β₁) g               v ← β₂ v + (1 − β₂) g²
///     w ← w − η (m̂ / (√v̂ + ε) + λ w)      m̂ = m / (1 − β₁ⁿ), v̂ = v / (1 − β₂ⁿ); λ = 0 for gains and biases
package struct Optimizer: Sendable {
    package private(set) var firstMoments: [Tensor]
    package private(set) var secondMoments: [Tensor]
    /// The number of steps so far.
    package private(set) var step = 0

    package init(_ parameters: [Parameter]) {
        firstMoments = parameters.map { Tensor($0.value.shape, $0.value.dataType) }
        secondMoments = firstMoments
    }

    /// Moments that come from elsewhere, in host memory.
    init(firstMoments: [Tensor], secondMoments: [Tensor], step: Int) {
        self.firstMoments = firstMoments
        self.secondMoments = secondMoments
        self.step = step
    }

    /// A step without an update: it counts, because the corrections of the moments go by the steps.
    mutating func skip() { step += 1 }

    /// √(Σ g²) over all parameters.
    package static func gradientNorm(_ parameters: [Parameter], _ kernels: any OptimizerKernels) -> Double {
        parameters.reduce(0) { $0 + kernels.sumOfSquares($1.gradient) }.squareRoot()
    }

    /// `1 / (1 − βⁿ)` for both moments at step n.
    static func corrections(step: Int, _ configuration: TrainingConfiguration) -> (first: Double, second: Double) {
        (1 / (1 - pow(configuration.beta1, Double(step))), 1 / (1 - pow(configuration.beta2, Double(step))))
    }

    /// What the gradients are multiplied by so that their norm is at most `limit`; a limit of zero is none.
    package static func clippingScale(norm: Double, limit: Double) -> Double {
        limit > 0 && norm > limit ? limit / norm : 1
    }

    /// One update.
    package mutating func update(
        _ parameters: [Parameter], learningRate: Double, gradientScale: Double, _ configuration: TrainingConfiguration,
        _ kernels: any OptimizerKernels
    ) {
        step += 1
        for (index, parameter) in parameters.enumerated() {
            let numbers = AdamWStep(
                learningRate: learningRate, beta1: configuration.beta1, beta2: configuration.beta2,
                epsilon: configuration.epsilon, weightDecay: parameter.decays ? configuration.weightDecay : 0,
                gradientScale: gradientScale, step: step)
            kernels.adamW(
                &parameter.value, gradient: parameter.gradient, firstMoment: &firstMoments[index],
                secondMoment: &secondMoments[index], step: numbers)
        }
    }
}

extension Optimizer {
    /// The moments by parameter name: `first.NAME` and `second.NAME`.
    package func file(_ parameters: [Parameter]) -> SafetensorsFile {
        var file = SafetensorsFile(metadata: ["step": String(step)])
        for (index, parameter) in parameters.enumerated() {
            file.tensors["first.\(parameter.name)"] = firstMoments[index]
            file.tensors["second.\(parameter.name)"] = secondMoments[index]
        }
        return file
    }

    /// The optimizer that ``file(_:)`` described.
    ///
    /// - Throws: `damagedFile` where the moments are not those of these parameters.
    package init(_ file: SafetensorsFile, _ parameters: [Parameter], path: String) throws(PowerAttentionError) {
        guard let step = file.metadata["step"].flatMap({ Int($0) }), step >= 0 else {
            throw .damaged(path, "no number of steps", "metadata with the key step")
        }
        self.step = step
        firstMoments = []
        secondMoments = []
        for parameter in parameters {
            firstMoments.append(try file.tensor("first.\(parameter.name)", like: parameter.value, path: path))
            secondMoments.append(try file.tensor("second.\(parameter.name)", like: parameter.value, path: path))
        }
    }
}

extension SafetensorsFile {
    /// A tensor that must be there with the shape and type of `other`.
    func tensor(_ name: String, like other: Tensor, path: String) throws(PowerAttentionError) -> Tensor {
        guard let tensor = tensors[name] else { throw .damaged(path, "no tensor \(name)", "one for every parameter") }
        guard tensor.shape == other.shape, tensor.dataType == other.dataType else {
            throw .damaged(
                path, "\(name) is \(tensor.dataType) \(tensor.shape)", "\(other.dataType) \(other.shape)")
        }
        return tensor
    }
}
