public import LanguageModel
package import PowerAttention
public import Tensors

/// All that decides a training run. In files:
///
/// ```toml
/// tokenizer = "bytes"
///
/// [model]
/// layers = 4
///
/// [data]
/// path = "austen"
///
/// [training]
/// steps = 1000
/// ```
///
/// Every key has a default. `config.json` of a run is the same in JSON with every key written out, and with the number of
/// parameters of the model, which is for the reader.
public struct RunConfiguration: Sendable, Hashable {
    public var model = ModelConfiguration()
    public var data = DataConfiguration()
    public var training = TrainingConfiguration()
    /// `bytes` or `gpt2`.
    public var tokenizer = "bytes"

    public init() {}

    private static let keys = ["data", "model", "parameters", "tokenizer", "training"]

    /// Reads a configuration; keys that are left out have their defaults.
    ///
    /// - Parameter source: the file or the flags that the value is from, for error messages.
    /// - Throws: `invalidArgument` for an unknown key, with the legal ones, and for a value of the wrong type.
    package init(_ value: ConfigurationValue, source: String) throws(PowerAttentionError) {
        guard case .table(let table) = value else {
            throw PowerAttentionError(argument: source, given: "\(value)", expected: "a table of sections")
        }
        if let unknown = table.keys.sorted().first(where: { !Self.keys.contains($0) }) {
            throw .unknownKey(unknown, legal: Self.keys, source: source)
        }
        model = try ModelConfiguration(Self.section("model", of: table, source), source: source)
        try data.read(Self.section("data", of: table, source), source: source)
        try training.read(Self.section("training", of: table, source), source: source)
        if let value = table["tokenizer"] {
            guard case .string(let name) = value else {
                throw PowerAttentionError(argument: "tokenizer", given: "\(value)", expected: "a string, in \(source)")
            }
            tokenizer = name
        }
    }

    private static func section(
        _ name: String, of table: [String: ConfigurationValue], _ source: String
    ) throws(PowerAttentionError) -> [String: ConfigurationValue] {
        switch table[name] {
        case nil: return [:]
        case .table(let section): return section
        case .some(let value):
            throw PowerAttentionError(argument: name, given: "\(value)", expected: "a table, in \(source)")
        }
    }

    /// The content of `config.json`.
    package func value() throws(PowerAttentionError) -> ConfigurationValue {
        .table([
            "model": .table(try model.table()), "data": .table(data.table), "training": .table(training.table),
            "tokenizer": .string(tokenizer), "parameters": .integer(model.parameterCount),
        ])
    }

    /// - Throws: `invalidArgument` that names the first value outside of what is legal.
    public func validate() throws(PowerAttentionError) {
        try model.validate()
        try training.validate()
    }
}

extension RunConfiguration {
    /// The model before the first step.
    package func makeModel(device: Device = .cpu) throws(PowerAttentionError) -> LanguageModel {
        let model = try LanguageModel(model, seed: UInt64(training.seed), device: device)
        model.recomputesBlocks = training.recomputation
        return model
    }

    /// Floating-point operations of one training step: those of the products with weights, the head's among them, and those of
    /// the sequence mixers. What is computed again to save memory does not count.
    package func cost(on device: Device = .cpu) throws(PowerAttentionError) -> StepCost {
        let shape = AttentionShape(
            length: training.context, heads: model.heads, keyHeads: model.keyHeads, width: model.keyWidth)
        let cost = try ModelCost(
            weights: model.blockWeights, headWeights: model.headWeights, layers: model.layers, attention: model.attention,
            context: shape, device: device)
        let tokens = Double(training.tokensPerStep)
        return StepCost(weightFLOPs: tokens * (cost.weightFLOPs + cost.headFLOPs), stateFLOPs: tokens * cost.stateFLOPs)
    }

    /// Checks that a run with this configuration can go on where one with `earlier` stopped: nothing that decides what is
    /// computed may differ, except that there may be more steps.
    ///
    /// - Throws: `invalidArgument` that names the first key that differs.
    package func checkContinues(_ earlier: ConfigurationValue, source: String) throws(PowerAttentionError) {
        let other = try RunConfiguration(earlier, source: source)
        typealias Table = [String: ConfigurationValue]
        let free = TrainingConfiguration.resumableKeys
        let pairs: [(String, Table, Table, Set<String>)] = [
            ("model.", try model.table(), try other.model.table(), []),
            ("data.", data.table, other.data.table, []),
            ("training.", training.table, other.training.table, free.union(["steps"])),
            ("", ["tokenizer": .string(tokenizer)], ["tokenizer": .string(other.tokenizer)], []),
        ]
        for (section, mine, theirs, free) in pairs {
            // What a user writes comes before what follows from it: width before head_width.
            let order = ModelConfiguration.CodingKeys.allCases.map(\.rawValue)
            let keys = Set(mine.keys).union(theirs.keys).sorted {
                (order.firstIndex(of: $0) ?? 0, $0) < (order.firstIndex(of: $1) ?? 0, $1)
            }
            for key in keys where !free.contains(key) && mine[key] != theirs[key] {
                let (given, expected) = (mine[key]?.description ?? "nothing", theirs[key]?.description ?? "nothing")
                throw PowerAttentionError(
                    argument: section + key, given: given, expected: "\(expected) as in \(source), to go on with that run")
            }
        }
        guard training.steps >= other.training.steps else {
            throw PowerAttentionError(
                argument: "training.steps", given: "\(training.steps)",
                expected: "at least \(other.training.steps) as in \(source): a run may grow, not shrink")
        }
    }
}
