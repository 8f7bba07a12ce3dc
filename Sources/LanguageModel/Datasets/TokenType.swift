/// How token files store a token.
public enum TokenType: String, Sendable, Hashable, CaseIterable {
    case uint16, uint32

    public var byteCount: Int {
        switch self {
        case .uint16: 2
        case .uint32: 4
        }
    }

    /// The largest vocabulary whose ids can be stored; in memory, ids are `Int32`.
    public var largestVocabulary: Int {
        switch self {
        case .uint16: 1 << 16
        case .uint32: 1 << 31
        }
    }

    /// The smallest type for a vocabulary.
    public init(vocabularySize: Int) { self = vocabularySize <= Self.uint16.largestVocabulary ? .uint16 : .uint32 }
}
