import ArgumentParser
import Benchmarks
import Foundation
import SourceCommit
import Tensors

/// `power bench tables`, or `power bench`: measures this machine.
struct BenchTablesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tables", abstract: "Print tables of the operator, the matrix products and training on the processor.",
        discussion: """
            Every table is measured in one run and holds ratios within it, which carry over between machines better than times do. \
            Without a part, prints all of them as the page Benchmarks/RESULTS.md.
            """)

    enum Part: String, CaseIterable, ExpressibleByArgument { case products, lengths, mechanisms, training }

    @Argument(help: "What to measure: \(Part.allCases.map(\.rawValue).joined(separator: ", ")).") var part: Part?
    @Option(help: "Counted runs of every measurement.") var rounds = 5

    func validate() throws {
        guard rounds >= 1 else { throw ValidationError("--rounds: \(rounds) given, expected at least 1") }
    }

    func run() throws {
        let suite = BenchmarkSuite(rounds: rounds)
        switch part {
        case .products: print(suite.products().markdown)
        case .lengths: print(try suite.lengths().markdown)
        case .mechanisms: print(try suite.mechanisms().markdown)
        case .training: print(try suite.training().markdown)
        case nil:
            print(try suite.page(commit: SourceCommit.description, command: "swift run -c release power bench"), terminator: "")
        }
    }
}
