public import Tensors

/// Text as token ids, cut into documents: what models are trained and scored on.
public protocol TokenSource: Sendable {
    /// The number of tokens of all documents.
    var tokenCount: Int { get }
    /// The documents, in order, as ranges of tokens.
    var documents: [Range<Int>] { get }
    /// The tokens in `range`, which is within `0 ..< tokenCount`.
    ///
    /// - Throws: `PowerAttentionError` where they cannot be read.
    func tokens(in range: Range<Int>) throws(PowerAttentionError) -> [Int32]
}

/// Documents in memory.
public struct TokenList: TokenSource {
    public private(set) var documents: [Range<Int>] = []
    private var tokens: [Int32] = []

    public init() {}

    public var tokenCount: Int { tokens.count }

    /// Adds a document at the end.
    public mutating func append(_ document: [Int32]) {
        documents.append(tokens.count..<tokens.count + document.count)
        tokens.append(contentsOf: document)
    }

    public func tokens(in range: Range<Int>) -> [Int32] { Array(tokens[range]) }
}
