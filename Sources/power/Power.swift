import ArgumentParser

@main
struct Power: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "power",
        abstract: "Power attention: the operator, language models trained with it, and the experiments of the paper.",
        version: "0.1.0",
        subcommands: [
            ApplyCommand.self,
            BenchCommand.self,
            DataCommand.self,
            DeviceCommand.self,
            EvalCommand.self,
            FlopsCommand.self,
            GenerateCommand.self,
            KernelsCommand.self,
            QuickstartCommand.self,
            ReportCommand.self,
            TokenizeCommand.self,
            TrainCommand.self,
            VerifyCommand.self,
        ])
}
