import ArgumentParser
import Benchmarks
import Foundation
import PowerAttention

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure this machine: the operator and the matrix products, as ratios within one run.")
    func run() throws {
        for row in ProductBenchmark.stateProducts(rounds: 5)
            + ProductBenchmark.layerProducts(rows: 4096, inputs: 256, outputs: 1024, rounds: 5)
        {
            print(row.name, row.rate / 1e9, row.share)
        }
        let configuration = AttentionConfiguration(.power(degree: 2), form: .chunked, chunkSize: 512)
        for length in [1024, 2048, 4096, 8192, 65536] {
            let a = try OperatorBenchmark(configuration, length: length).run(rounds: 3)
            print("power", length, a.forwardSeconds, a.backwardSeconds, a.secondsPerToken * 1e6, a.peakResidentBytes ?? 0)
            if length <= 8192 {
                let b = try OperatorBenchmark(AttentionConfiguration(.exponential(window: nil)), length: length, gated: false)
                    .run(rounds: 3)
                print("exponential", length, b.forwardSeconds, b.backwardSeconds, b.secondsPerToken * 1e6)
            }
        }
    }
}
