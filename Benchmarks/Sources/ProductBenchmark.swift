import BackendInterface
import CPUBackend
import Tensors

/// The rates of the matrix products against the machine's own peak, measured round by round in one run.
package struct ProductBenchmark: Sendable {
    package struct Row: Sendable, Codable {
        package var name: String
        /// Floating-point operations a second.
        package var rate: Double
        /// The share of the register-only peak, the median over rounds that each measured both.
        package var share: Double
    }

    /// Update, query and backward query of the state for h heads of width d at degree p, chunk c.
    package static func stateProducts(degree: Int = 2, width: Int = 64, heads: Int = 4, chunk: Int = 512, rounds: Int)
        -> [Row]
    {
        let benchmark = OperatorBenchmark(
            AttentionConfiguration(.power(degree: degree)), length: chunk, queryHeads: heads, keyHeads: heads, keyWidth: width,
            valueWidth: width)
        let problem = AttentionProblem(
            mechanism: .power(degree: degree), normalization: .sum, form: .chunked, scale: 1, chunkSize: chunk, tile: 1,
            sequences: [0..<chunk], tokenCount: chunk, queryHeads: heads, keyHeads: heads, keyWidth: width, valueWidth: width)
        let products = StateProducts(problem, benchmark.inputs())
        return [
            measure("state update, d = \(width), p = \(degree)", products.operations, rounds) { products.update() },
            measure("state query, d = \(width), p = \(degree)", products.operations, rounds) { products.read() },
            measure("state query backward, d = \(width), p = \(degree)", products.operations, rounds) {
                products.readBackward()
            },
        ]
    }

    /// `rows` tokens times a weight matrix, forward and the two products of the backward pass.
    package static func layerProducts(rows: Int, inputs: Int, outputs: Int, rounds: Int) -> [Row] {
        var generator = RandomGenerator(seed: 2)
        let x = generator.normal([rows, inputs])
        let weight = generator.normal([inputs, outputs])
        let gradient = generator.normal([rows, outputs])
        let operations = 2 * Double(rows) * Double(inputs) * Double(outputs)
        let backend = CPUBackend()
        let name = "\(rows)×\(inputs)·\(inputs)×\(outputs)"
        var (y, dx, dw) = (
            Tensor([rows, outputs], .float32), Tensor([rows, inputs], .float32), Tensor([inputs, outputs], .float32)
        )
        return [
            measure("\(name), forward", operations, rounds) { backend.multiply(x, weight, into: &y) },
            measure("\(name), input gradient", operations, rounds) {
                backend.multiply(gradient, weight, transposeB: true, into: &dx)
            },
            measure("\(name), weight gradient", operations, rounds) {
                backend.multiply(x, transposeA: true, gradient, into: &dw, accumulate: true)
            },
        ]
    }

    static func measure(_ name: String, _ operations: Double, _ rounds: Int, _ body: () -> Void) -> Row {
        body()
        var rates: [Double] = []
        var shares: [Double] = []
        for _ in 0..<rounds {
            let peak = Machine.registerPeak()
            let calls = 3
            let seconds = Timing.seconds { for _ in 0..<calls { body() } } / Double(calls)
            rates.append(operations / seconds)
            shares.append(operations / seconds / peak)
        }
        return Row(name: name, rate: Timing.median(rates), share: Timing.median(shares))
    }
}
