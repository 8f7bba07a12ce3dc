import BackendInterface
package import CPUBackend
package import LanguageModel
package import Tensors

/// How the time of training steps divides between the operator, the matrix products and everything else.
package enum TrainingBenchmark {
    package static func run(
        _ configuration: ModelConfiguration, batch: Int, length: Int, steps: Int
    ) throws(PowerAttentionError) -> OperationClock.Times {
        let model = try LanguageModel(configuration, seed: 1)
        let kernels = CPUBackend()
        var generator = RandomGenerator(seed: 3)
        let tokens = (0..<batch * length).map { _ in Int32(generator.next() % UInt64(configuration.vocabularySize)) }
        let targets = Array(tokens.dropFirst()) + [0]
        var firstMoments = model.parameters.map { Tensor($0.value.shape, .float32) }
        var secondMoments = firstMoments
        func step(_ number: Int) throws(PowerAttentionError) {
            try model.zeroGradients()
            _ = try model.accumulateGradients(tokens, targets: targets, batch: batch, length: length)
            let norm = model.parameters.reduce(0) { $0 + kernels.sumOfSquares($1.gradient) }.squareRoot()
            for (index, parameter) in model.parameters.enumerated() {
                kernels.adamW(
                    &parameter.value, gradient: parameter.gradient, firstMoment: &firstMoments[index],
                    secondMoment: &secondMoments[index],
                    step: AdamWStep(
                        learningRate: 1e-3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1,
                        gradientScale: 1 / max(1, norm), step: number))
            }
        }
        try step(1)
        return try OperationClock.record { () throws(PowerAttentionError) in
            for number in 2..<steps + 2 { try step(number) }
        }
    }
}
