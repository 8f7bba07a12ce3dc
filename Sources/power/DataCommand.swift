import ArgumentParser

/// `power data`: the token files that models are trained on.
struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Make and inspect token files, which models are trained on.",
        subcommands: [DataBuildCommand.self, DataInfoCommand.self])
}
