import ArgumentParser

/// `power bench`: measures this machine.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure the operator, the matrix products and training on this machine.",
        discussion: "Without a subcommand, prints the tables of Benchmarks/RESULTS.md.",
        subcommands: [BenchTablesCommand.self, BenchOperatorCommand.self], defaultSubcommand: BenchTablesCommand.self)
}
