import LanguageModel
import Tensors

/// The elements in float64.
func doubles(_ tensor: Tensor) -> [Double] { tensor.converted(to: .float64).array(of: Double.self) }

/// ‖x − y‖ / ‖y‖.
func relativeError(_ x: [Double], _ y: [Double]) -> Double {
    let difference = zip(x, y).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let norm = y.reduce(0) { $0 + $1 * $1 }
    return difference == 0 ? 0 : (difference / norm).squareRoot()
}

func dot(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }

extension Parameter {
    /// `value += step · direction`.
    func move(_ direction: [Double], by step: Double) {
        value = Tensor(value.shape, zip(doubles(value), direction).map { $0 + step * $1 }).converted(to: value.dataType)
    }
}

extension LanguageModel {
    /// Moves every parameter away from its start, where norms have weights of one and gates are open.
    func perturb(_ generator: inout RandomGenerator, deviation: Double = 0.3) {
        for parameter in parameters {
            parameter.move(doubles(generator.normal(parameter.value.shape, .float64)), by: deviation)
        }
    }
}

/// A batch of random tokens and the tokens after them, every fifth of which is not scored.
struct Batch {
    let batch: Int
    let length: Int
    let tokens, targets: [Int32]

    init(_ batch: Int, _ length: Int, vocabulary: Int, _ generator: inout RandomGenerator, unscored: Bool = true) {
        self.batch = batch
        self.length = length
        tokens = (0..<batch * length).map { _ in Int32(generator.next() % UInt64(vocabulary)) }
        targets = (0..<batch * length).map { index in
            unscored && index % 5 == 4 ? -1 : Int32(generator.next() % UInt64(vocabulary))
        }
    }

    func meanLoss(_ model: LanguageModel) throws -> Double {
        let losses = doubles(try model.losses(tokens, targets: targets, batch: batch, length: length))
        return losses.reduce(0, +) / Double(targets.count { $0 >= 0 })
    }

    @discardableResult
    func accumulate(_ model: LanguageModel, scale: Double = 1) throws -> Double {
        try model.accumulateGradients(tokens, targets: targets, batch: batch, length: length, scale: scale)
    }
}

/// Small models of every kind.
enum SmallModels {
    static let mixers: [Mixer] = [
        .power(degree: 1), .power(degree: 2), .power(degree: 3), .power(degree: 4), .exponential, .exponential(window: 3),
        .linear,
    ]

    static func configuration(
        mixer: Mixer = .power(degree: 2), norm: ModelConfiguration.Normalization = .layerNorm,
        mlp: ModelConfiguration.Activation = .gelu, gated: Bool = true, tied: Bool = true, biases: Bool = false
    ) -> ModelConfiguration {
        ModelConfiguration(
            vocabularySize: 11, layers: 2, width: 8, heads: 2, keyValueHeads: 1, headWidth: 6, mlp: mlp, mlpWidth: 5,
            norm: norm, mixer: mixer, gated: gated, tiedEmbeddings: tied, biases: biases)
    }
}
