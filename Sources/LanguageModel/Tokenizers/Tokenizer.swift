public import Tensors

/// Turns text into token ids and back. Works on bytes, so that nothing is lost: decoding the ids of any bytes gives the bytes.
public protocol Tokenizer: Sendable {
    /// The name by which configurations, token files and the command line know it.
    var name: String { get }
    /// One more than the largest id.
    var vocabularySize: Int { get }
    /// The id that separates documents.
    var endOfText: Int32 { get }

    /// The ids of UTF-8 text. Bytes that are not UTF-8 are kept.
    func encode(bytes: UnsafeBufferPointer<UInt8>) -> [Int32]

    /// The last place inside of the text at which it may be cut: the ids of what comes before, followed by those of the rest,
    /// are the ids of the whole, whatever text is added at the end. `nil` where there is none.
    func lastCut(in bytes: UnsafeBufferPointer<UInt8>) -> Int?

    /// The bytes that the ids stand for.
    ///
    /// - Throws: `PowerAttentionError` for an id outside of the vocabulary.
    func bytes(of ids: [Int32]) throws(PowerAttentionError) -> [UInt8]
}

extension Tokenizer {
    public func encode(_ text: String) -> [Int32] {
        var text = text
        return text.withUTF8 { encode(bytes: $0) }
    }

    public func encode(bytes: [UInt8]) -> [Int32] { bytes.withUnsafeBufferPointer { encode(bytes: $0) } }

    /// The text that the ids stand for; bytes that are not UTF-8 become U+FFFD.
    ///
    /// - Throws: as ``bytes(of:)``.
    public func decode(_ ids: [Int32]) throws(PowerAttentionError) -> String {
        String(decoding: try bytes(of: ids), as: UTF8.self)
    }
}

/// The tokenizers that come with the package.
public enum BuiltInTokenizer: String, Sendable, Hashable, Codable, CaseIterable {
    case bytes, gpt2

    /// - Throws: `PowerAttentionError` where the vocabulary is missing or damaged.
    public func load() throws(PowerAttentionError) -> any Tokenizer {
        switch self {
        case .bytes: ByteTokenizer()
        case .gpt2: try GPT2Tokenizer.shared()
        }
    }

    /// - Throws: `PowerAttentionError` for a name that is not one of the cases.
    public init(named name: String) throws(PowerAttentionError) {
        guard let tokenizer = BuiltInTokenizer(rawValue: name) else {
            throw PowerAttentionError(
                argument: "tokenizer", given: "\"\(name)\"",
                expected: Self.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or "))
        }
        self = tokenizer
    }
}
