import ArgumentParser
import LanguageModel
import PowerAttention
import Training

/// The flags of the section `[model]`.
struct ModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Different tokens; those of the tokenizer if not given.", valueName: "n"))
    var vocabularySize: Int?
    @Option(help: ArgumentHelp("Blocks.", valueName: "n")) var layers: Int?
    @Option(help: ArgumentHelp("Width of the residual stream.", valueName: "n")) var width: Int?
    @Option(help: ArgumentHelp("Query heads.", valueName: "n")) var heads: Int?
    @Option(help: ArgumentHelp("Key and value heads; as many as query heads if not given.", valueName: "n"))
    var keyValueHeads: Int?
    @Option(help: ArgumentHelp("Width of a head; width / heads if not given.", valueName: "n")) var headWidth: Int?
    @Option(help: ArgumentHelp("Sequence mixer: power, exponential or linear.", valueName: "name")) var mixer: String?
    @Option(help: ArgumentHelp("Degree of power attention, 1 to 4.", valueName: "n")) var degree: Int?
    @Option(help: ArgumentHelp("Window of exponential attention in tokens; the whole context if not given.", valueName: "n"))
    var window: Int?
    @Flag(inversion: .prefixedNo, help: "Gates, which let the mixer forget.") var gated: Bool?
    @Option(help: ArgumentHelp("MLP: gelu or swiglu.", valueName: "name")) var mlp: String?
    @Option(help: ArgumentHelp("Hidden units of the MLP.", valueName: "n")) var mlpWidth: Int?
    @Option(help: ArgumentHelp("Normalization: layer_norm or rms_norm.", valueName: "name")) var norm: String?
    @Option(help: ArgumentHelp("Base of the rotary positions' wavelengths.", valueName: "x")) var rotaryBase: Double?
    @Flag(inversion: .prefixedNo, help: "One matrix for the embedding and the head.") var tiedEmbeddings: Bool?
    @Flag(inversion: .prefixedNo, help: "Biases in projections.") var biases: Bool?
    @Option(help: ArgumentHelp("Form of the mixer: auto, attention, chunked or recurrent.", valueName: "name"))
    var form: String?
    @Option(help: ArgumentHelp("Tokens in a chunk of the chunked form; chosen by cost if not given.", valueName: "n"))
    var chunkSize: Int?

    var table: [String: ConfigurationValue] {
        [
            "vocabulary_size": .init(vocabularySize), "layers": .init(layers), "width": .init(width), "heads": .init(heads),
            "key_value_heads": .init(keyValueHeads),
            "head_width": .init(headWidth), "mixer": .init(mixer), "degree": .init(degree), "window": .init(window),
            "gated": .init(gated), "mlp": .init(mlp), "mlp_width": .init(mlpWidth), "norm": .init(norm),
            "rotary_base": .init(rotaryBase), "tied_embeddings": .init(tiedEmbeddings), "biases": .init(biases),
            "form": .init(form), "chunk_size": .init(chunkSize),
        ].compactMapValues { $0 }
    }
}

extension ConfigurationValue? {
    init(_ value: Int?) { self = value.map { .integer($0) } }
    init(_ value: Double?) { self = value.map { .number($0) } }
    init(_ value: Bool?) { self = value.map { .boolean($0) } }
    init(_ value: String?) { self = value.map { .string($0) } }
}
