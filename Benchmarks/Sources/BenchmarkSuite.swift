import BackendInterface
import CPUBackend
import Foundation
import LanguageModel
package import Tensors

/// The tables of `Benchmarks/RESULTS.md`, each measured in one run and as ratios within it.
package struct BenchmarkSuite: Sendable {
    /// Counted runs of every measurement.
    package var rounds: Int

    package init(rounds: Int) { self.rounds = rounds }

    /// The rates of the state products and of a model's matrix products against the machine's own peak.
    package func products() -> ResultTable {
        let rows =
            ProductBenchmark.stateProducts(rounds: rounds)
            + ProductBenchmark.layerProducts(rows: 8192, inputs: 256, outputs: 256, rounds: rounds)
            + ProductBenchmark.layerProducts(rows: 8192, inputs: 256, outputs: 1024, rounds: rounds)
            + ProductBenchmark.layerProducts(rows: 4096, inputs: 768, outputs: 3072, rounds: rounds)
        return ResultTable(
            "Products",
            text: """
                The peak is a loop of independent multiply-adds of the widest vectors in registers, on all cores at once, measured \
                before every round. State products: one chunk of 512 tokens of 4 heads, 2·D·(e + 1) operations a token and head, the \
                expansion included in the time and not in the operations.
                """,
            columns: ["product", "GFLOP/s", "share of the peak"],
            rows: rows.map { [$0.name, Self.number($0.rate / 1e9, 0), Self.percent($0.share)] })
    }

    private static let shape = "b = 1, h = 4, d = e = 64, float32"

    /// Power attention from 8,192 to 65,536 tokens: time a token and memory.
    package func lengths() throws(PowerAttentionError) -> ResultTable {
        let configuration = AttentionConfiguration(.power(degree: 2), form: .chunked, chunkSize: 512)
        var rows: [[String]] = []
        var first: OperatorBenchmark.Result?
        for length in [8_192, 16_384, 32_768, 65_536] {
            let result = try OperatorBenchmark(configuration, length: length).run(rounds: rounds)
            let base = first ?? result
            first = base
            rows.append([
                "\(length)", Self.number(1e6 * result.forwardSeconds / Double(length), 2),
                Self.number(1e6 * result.secondsPerToken, 2), Self.number(result.secondsPerToken / base.secondsPerToken, 3),
                result.peakResidentBytes.map { Self.number(Double($0) / 1e6, 0) } ?? "–",
                result.peakResidentBytes.map { Self.number(Double($0) / 1e3 / Double(length), 2) } ?? "–",
            ])
        }
        return ResultTable(
            "Linear cost",
            text: """
                Power attention p = 2, gated, chunks of 512, \(Self.shape). Peak memory is that of the process so far, \
                inputs, outputs, gradients and states among it; lengths run in ascending order.
                """,
            columns: [
                "tokens", "forward, µs a token", "forward + backward, µs a token", "ratio to 8,192", "peak memory, MB",
                "kB a token",
            ], rows: rows)
    }

    /// Power attention against exponential attention over the same tiles.
    package func mechanisms() throws(PowerAttentionError) -> ResultTable {
        var rows: [[String]] = []
        for length in [1_024, 2_048, 4_096, 8_192, 16_384] {
            let power = try OperatorBenchmark(AttentionConfiguration(.power(degree: 2)), length: length).run(rounds: rounds)
            let exponential = try OperatorBenchmark(
                AttentionConfiguration(.exponential(window: nil)), length: length, gated: false
            ).run(rounds: length > 8_192 ? 1 : rounds)
            let times = [power, exponential].map { $0.forwardSeconds + $0.backwardSeconds }
            rows.append([
                "\(length)", Self.number(1e3 * power.forwardSeconds, 1), Self.number(1e3 * exponential.forwardSeconds, 1),
                Self.number(1e3 * times[0], 1), Self.number(1e3 * times[1], 1), Self.number(times[1] / times[0], 2),
            ])
        }
        return ResultTable(
            "Power and exponential attention",
            text: """
                Milliseconds, \(Self.shape). Power: p = 2, gated, the form chosen automatically. Exponential: causal, without gates. \
                The ratio is exponential over power, forward and backward: above 1 power attention is faster.
                """,
            columns: [
                "tokens", "power forward", "exponential forward", "power forward + backward", "exponential forward + backward",
                "ratio",
            ], rows: rows)
    }

    /// What training spends outside of the operator and the matrix products.
    package func training() throws(PowerAttentionError) -> ResultTable {
        var rows: [[String]] = []
        for (name, vocabulary, width, heads, length, batch) in [
            ("bytes, width 192, context 1,024", 257, 192, 6, 1_024, 8),
            ("bytes, width 256, context 4,096", 257, 256, 4, 4_096, 2),
            ("GPT-2 tokens, width 512, context 1,024", 50_257, 512, 8, 1_024, 2),
        ] {
            let configuration = ModelConfiguration(vocabularySize: vocabulary, layers: 4, width: width, heads: heads)
            let peak = Machine.registerPeak()
            let times = try TrainingBenchmark.run(configuration, batch: batch, length: length, steps: rounds)
            rows.append([
                name, Self.number(Double(rounds * batch * length) / times.seconds, 0),
                Self.percent(times.attention / times.seconds), Self.percent(times.matrixProducts / times.seconds),
                Self.percent(times.otherShare), Self.percent(times.productOperations / times.matrixProducts / peak),
            ])
        }
        return ResultTable(
            "Training",
            text: """
                Steps of a 4-layer model with power attention p = 2, gated: forward, backward, clipping and AdamW. The last column is \
                the rate of all matrix products of the steps against the peak in registers.
                """,
            columns: ["model", "tokens/s", "operator", "matrix products", "everything else", "products, share of the peak"],
            rows: rows)
    }

    /// All tables with a heading that says what they were measured on.
    package func page(commit: String, command: String) throws(PowerAttentionError) -> String {
        let machine = Machine()
        let date = Date.now.formatted(.iso8601.year().month().day())
        // Lengths come first: they report the peak memory of the process.
        let tables = [try lengths(), products(), try mechanisms(), try training()]
        return """
            # Results on the CPU

            \(machine.processor), \(machine.cores) cores, \(machine.memoryBytes >> 30) GiB, \(machine.system). Commit \(commit), \
            \(date). Medians of \(rounds) runs after one that is not counted. Printed by

                \(command)


            """ + tables.map(\.markdown).joined(separator: "\n")
    }

    private static func number(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
    private static func percent(_ value: Double) -> String { String(format: "%.0f%%", 100 * value) }
}
