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

    func inputs(seed: UInt64 = 1) -> AttentionInputs {
        var generator = RandomGenerator(seed: seed)
        func random(_ heads: Int, _ width: Int) -> Tensor {
            var tensor = Tensor([batch, length, heads, width], .float32)
            tensor.withMutableElements(of: Float.self) { elements in
                for index in elements.indices { elements[index] = Float(generator.uniform() * 2 - 1) }
            }
            return tensor.converted(to: dataType)
        }
        let (q, k, v) = (random(queryHeads, keyWidth), random(keyHeads, keyWidth), random(keyHeads, valueWidth))
        guard gated else { return AttentionInputs(q: q, k: k, v: v) }
        var logG = Tensor([batch, length, keyHeads], .float32)
        logG.withMutableElements(of: Float.self) { elements in
            for index in elements.indices { elements[index] = Float(-0.002 * generator.uniform()) }
        }
        return AttentionInputs(q: q, k: k, v: v, logG: logG)
    }

    /// Medians of `rounds` runs after one that is not counted.
    package func run(rounds: Int) throws(PowerAttentionError) -> Result {
        let inputs = inputs()
        let gradient = inputs.v
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
