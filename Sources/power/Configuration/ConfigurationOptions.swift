import ArgumentParser
import LanguageModel
import Tensors
import Training

/// Where a run's configuration comes from: a file, and the flags that override it.
struct ConfigurationOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp("TOML or JSON file with the sections [model], [data] and [training].", valueName: "configuration"),
        completion: .file(extensions: ["toml", "json"]))
    var file: String?

    @Option(help: ArgumentHelp("Text to train on: a token file of 'power data build', or austen.", valueName: "file"))
    var data: String?
    @Option(help: ArgumentHelp("How text becomes tokens: bytes or gpt2; as in the token file if not given.", valueName: "name"))
    var tokenizer: String?

    @OptionGroup(title: "Model") var model: ModelOptions
    @OptionGroup(title: "Training") var training: TrainingOptions

    /// The configuration of the file, or `base` without one, overridden by the flags.
    func configuration(
        base: (value: ConfigurationValue, source: String)? = nil
    ) throws(PowerAttentionError) -> RunConfiguration {
        var value = base?.value ?? .table([:])
        if let file { value = try ConfigurationFile.read(file) }
        // What is wrong in a file is said with the name of the file.
        if let source = file ?? base?.source { _ = try RunConfiguration(value, source: source) }
        let merged = Self.merge(value, flags: flags)
        var configuration = try RunConfiguration(merged, source: "the flags")
        guard case .table(let table) = merged else { return configuration }
        if table["tokenizer"] == nil, configuration.data.path != AustenNovels.name {
            configuration.tokenizer = try TokenFile(configuration.data.path).tokenizer
        }
        if case .table(let model) = table["model"], model["vocabulary_size"] != nil { return configuration }
        configuration.model.vocabularySize = try BuiltInTokenizer(named: configuration.tokenizer).load().vocabularySize
        return configuration
    }

    private var flags: ConfigurationValue {
        let data: [String: ConfigurationValue] = data.map { ["path": .string($0)] } ?? [:]
        var table: [String: ConfigurationValue] = [
            "model": .table(model.table), "training": .table(training.table), "data": .table(data),
        ]
        table["tokenizer"] = .init(tokenizer)
        return .table(table)
    }

    /// Flags win over the file. A mixer comes with its own degree or window: a flag that changes it drops those of the file.
    static func merge(_ file: ConfigurationValue, flags: ConfigurationValue) -> ConfigurationValue {
        guard case .table(var table) = file, case .table(var model) = table["model"] ?? .table([:]),
            case .table(let overrides) = flags, case .table(let modelFlags) = overrides["model"] ?? .table([:]),
            let mixer = modelFlags["mixer"], mixer != model["mixer"] ?? .string("power")
        else { return file.overridden(by: flags) }
        model["degree"] = nil
        model["window"] = nil
        table["model"] = .table(model)
        return ConfigurationValue.table(table).overridden(by: flags)
    }
}
