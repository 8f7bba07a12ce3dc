package import BackendInterface
import CPUBackend
import PowerAttention
package import Tensors

/// Times the operator, forward and backward, on random inputs of one shape.
package struct OperatorBenchmark: Sendable {
    package var configuration: AttentionConfiguration
    package var batch, length, queryHeads, keyHeads, keyWidth, valueWidth: Int
    package var gated: Bool
    package var dataType = DataType.float32
    /// Every sequence starts with a state.
    package var startsWithState = false

    package init(
        _ configuration: AttentionConfiguration, batch: Int = 1, length: Int, queryHeads: Int = 4, keyHeads: Int = 4,
        keyWidth: Int = 64, valueWidth: Int = 64, gated: Bool = true
    ) {
        self.configuration = configuration
        self.batch = batch
        self.length = length
        self.queryHeads = queryHeads
        self.keyHeads = keyHeads
        self.keyWidth = keyWidth
        self.valueWidth = valueWidth
        self.gated = gated
    }

    package struct Result: Sendable, Codable {
        package var length: Int
        package var forwardSeconds, backwardSeconds: Double
        package var peakResidentBytes: Int?

        /// Forward and backward, a token.
        package var secondsPerToken: Double { (forwardSeconds + backwardSeconds) / Double(length) }
    }

    /// Queries, keys and values between −1 and 1, gates between 0.998 and 1; the same every time.
    package func inputs(seed: UInt64 = 1) -> AttentionInputs {
        var generator = RandomGenerator(seed: seed)
        func random(_ heads: Int, _ width: Int) -> Tensor {
            uniform([batch, length, heads, width], -1...1, &generator).converted(to: dataType)
        }
        var inputs = AttentionInputs(
            q: random(queryHeads, keyWidth), k: random(keyHeads, keyWidth), v: random(keyHeads, valueWidth))
        if gated { inputs.logG = uniform([batch, length, keyHeads], -0.002...0, &generator) }
        if startsWithState, case .power(let degree) = configuration.mechanism {
            let dimension = SymmetricPower(degree: degree, width: keyWidth, tile: configuration.tile).dimension
            inputs.initialState = ExpandedState(
                S: uniform([batch, keyHeads, dimension, valueWidth], -1...1, &generator),
                z: uniform([batch, keyHeads, dimension], 0...1, &generator), exponent: Tensor([batch, keyHeads], .int32))
        }
        return inputs
    }

    /// ∂L/∂y, between −1 and 1.
    package func outputGradient(seed: UInt64 = 2) -> Tensor {
        var generator = RandomGenerator(seed: seed)
        return uniform([batch, length, queryHeads, valueWidth], -1...1, &generator).converted(to: dataType)
    }

    private func uniform(_ shape: [Int], _ range: ClosedRange<Double>, _ generator: inout RandomGenerator) -> Tensor {
        var tensor = Tensor(shape, .float32)
        tensor.withMutableElements(of: Float.self) { elements in
            for index in elements.indices {
                elements[index] = Float(range.lowerBound + generator.uniform() * (range.upperBound - range.lowerBound))
            }
        }
        return tensor
    }

    /// Medians of `rounds` runs after one that is not counted.
    package func run(rounds: Int) throws(PowerAttentionError) -> Result {
        let inputs = inputs()
        let gradient = outputGradient()
        let attention = try AttentionOperator(configuration)
        var (forward, backward): ([Double], [Double]) = ([], [])
        for round in 0...rounds {
            var result: AttentionResult?
            var failure: PowerAttentionError?
            let first = Timing.seconds {
                do throws(PowerAttentionError) { result = try attention.forward(inputs) } catch { failure = error }
            }
            if let failure { throw failure }
            guard let result else { continue }
            let second = Timing.seconds {
                do throws(PowerAttentionError) {
                    _ = try attention.backward(inputs, context: result.context, outputGradient: gradient)
                } catch { failure = error }
            }
            if let failure { throw failure }
            if round > 0 {
                forward.append(first)
                backward.append(second)
            }
        }
        return Result(
            length: length, forwardSeconds: Timing.median(forward), backwardSeconds: Timing.median(backward),
            peakResidentBytes: Machine.peakResidentBytes)
    }
}
