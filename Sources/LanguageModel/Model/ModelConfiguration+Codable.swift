import PowerAttention

extension ModelConfiguration: Codable {
    /// The keys of a model in configuration files and checkpoints.
    public enum CodingKeys: String, CodingKey, CaseIterable, Sendable {
        case vocabularySize = "vocabulary_size"
        case layers, width, heads
        case keyValueHeads = "key_value_heads"
        case headWidth = "head_width"
        case mlp
        case mlpWidth = "mlp_width"
        case norm, mixer, degree, window, gated
        case rotaryBase = "rotary_base"
        case tiedEmbeddings = "tied_embeddings"
        case biases, form
        case chunkSize = "chunk_size"
    }

    /// - Throws: `PowerAttentionError` for an unknown key, an unknown name, or `degree` or `window` beside a mixer that has
    ///   none; `DecodingError` for a value of another type. Call ``validate()`` for the rest.
    public init(from decoder: any Decoder) throws {
        for key in try decoder.container(keyedBy: AnyKey.self).allKeys where CodingKeys(rawValue: key.stringValue) == nil {
            throw PowerAttentionError(
                argument: key.stringValue, given: "an unknown key of a model",
                expected: CodingKeys.allCases.map(\.rawValue).joined(separator: ", "))
        }
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func value<Value: Decodable>(_ key: CodingKeys, _ fallback: Value) throws -> Value {
            try container.decodeIfPresent(Value.self, forKey: key) ?? fallback
        }
        func name<Name: RawRepresentable & CaseIterable>(_ key: CodingKeys, _ fallback: Name) throws -> Name
        where Name.RawValue == String {
            guard let name = try container.decodeIfPresent(String.self, forKey: key) else { return fallback }
            guard let value = Name(rawValue: name) else {
                throw PowerAttentionError(
                    argument: key.rawValue, given: name,
                    expected: Name.allCases.map(\.rawValue).joined(separator: ", "))
            }
            return value
        }

        self.init()
        vocabularySize = try value(.vocabularySize, vocabularySize)
        layers = try value(.layers, layers)
        width = try value(.width, width)
        heads = try value(.heads, heads)
        keyValueHeads = try container.decodeIfPresent(Int.self, forKey: .keyValueHeads)
        headWidth = try container.decodeIfPresent(Int.self, forKey: .headWidth)
        mlp = try name(.mlp, mlp)
        mlpWidth = try container.decodeIfPresent(Int.self, forKey: .mlpWidth)
        norm = try name(.norm, norm)
        mixer = try Mixer(
            name(.mixer, Mixer.Kind.power), degree: container.decodeIfPresent(Int.self, forKey: .degree),
            window: container.decodeIfPresent(Int.self, forKey: .window))
        gated = try value(.gated, gated)
        rotaryBase = try value(.rotaryBase, rotaryBase)
        tiedEmbeddings = try value(.tiedEmbeddings, tiedEmbeddings)
        biases = try value(.biases, biases)
        form = try name(.form, form)
        chunkSize = try container.decodeIfPresent(Int.self, forKey: .chunkSize)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(vocabularySize, forKey: .vocabularySize)
        try container.encode(layers, forKey: .layers)
        try container.encode(width, forKey: .width)
        try container.encode(heads, forKey: .heads)
        try container.encode(keyHeads, forKey: .keyValueHeads)
        try container.encode(keyWidth, forKey: .headWidth)
        try container.encode(mlp, forKey: .mlp)
        try container.encode(hiddenWidth, forKey: .mlpWidth)
        try container.encode(norm, forKey: .norm)
        try container.encode(mixer.kind, forKey: .mixer)
        if case .power(let degree) = mixer { try container.encode(degree, forKey: .degree) }
        if case .exponential(let window) = mixer { try container.encodeIfPresent(window, forKey: .window) }
        try container.encode(gated, forKey: .gated)
        try container.encode(rotaryBase, forKey: .rotaryBase)
        try container.encode(tiedEmbeddings, forKey: .tiedEmbeddings)
        try container.encode(biases, forKey: .biases)
        try container.encode(form, forKey: .form)
        try container.encodeIfPresent(chunkSize, forKey: .chunkSize)
    }

    /// Any key at all, to find those that are not legal.
    private struct AnyKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

extension Mixer {
    /// - Throws: `PowerAttentionError` where a key does not belong to the mixer.
    init(_ kind: Kind, degree: Int?, window: Int?) throws(PowerAttentionError) {
        if let degree, kind != .power {
            throw PowerAttentionError(
                argument: "degree", given: "\(degree) with mixer \(kind.rawValue)", expected: "no degree, or mixer power")
        }
        if let window, kind != .exponential {
            throw PowerAttentionError(
                argument: "window", given: "\(window) with mixer \(kind.rawValue)", expected: "no window, or mixer exponential")
        }
        self =
            switch kind {
            case .power: .power(degree: degree ?? 2)
            case .exponential: .exponential(window: window)
            case .linear: .linear
            }
    }
}
