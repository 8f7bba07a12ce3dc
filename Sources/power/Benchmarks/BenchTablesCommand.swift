import ArgumentParser
import Benchmarks
import Foundation
import Tensors

/// `power bench`: measures this machine.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure the operator, the matrix products and training on this machine.",
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
            print(try suite.page(commit: Self.commit, command: "swift run -c release power bench"), terminator: "")
        }
    }

    /// The commit that is checked out here, with a mark where files differ from it.
    private static var commit: String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["git", "describe", "--always", "--dirty"]
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return "unknown" }
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let name = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return name.isEmpty ? "unknown" : name
    }
}
