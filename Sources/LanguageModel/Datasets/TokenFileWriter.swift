public import Tensors

/// Writes a token file (``TokenFile``) document by document, in constant memory but for some bytes a document.
///
/// The file appears under its name when ``finish()`` returns, complete; a writer that goes away before leaves nothing.
///
/// ```swift
/// var writer = try TokenFileWriter("letters.tokens", tokenizer: "bytes", vocabularySize: 257)
/// for letter in letters {
///     try writer.append(tokenizer.encode(letter))
///     try writer.endDocument()
/// }
/// try writer.finish()
/// ```
public struct TokenFileWriter: ~Copyable {
    private var file: AtomicFile
    private var header: TokenFileHeader
    private var table = TokenFileTable()
    private var documentStart = 0

    /// The number of tokens written so far.
    public var tokenCount: Int { header.tokenCount }

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - tokenizer: the name of the tokenizer, at most 64 bytes.
    ///   - tokenType: how a token is stored; the smallest type that holds the vocabulary unless given.
    /// - Throws: ``PowerAttentionError`` with code `invalidArgument` where the vocabulary does not fit the type, `inputOutput` where
    ///   the folder cannot be written to.
    public init(
        _ path: String, tokenizer: String, vocabularySize: Int, tokenType: TokenType? = nil
    ) throws(PowerAttentionError) {
        let tokenType = tokenType ?? TokenType(vocabularySize: vocabularySize)
        guard (1...tokenType.largestVocabulary).contains(vocabularySize) else {
            throw PowerAttentionError(
                argument: "vocabularySize", given: "\(vocabularySize)",
                expected: "1…\(tokenType.largestVocabulary) for \(tokenType.rawValue) tokens")
        }
        guard tokenizer.utf8.count <= TokenFileHeader.longestName else {
            throw PowerAttentionError(
                argument: "tokenizer", given: "a name of \(tokenizer.utf8.count) bytes",
                expected: "at most \(TokenFileHeader.longestName)")
        }
        var file = try AtomicFile(replacing: path)
        try file.append([UInt8](repeating: 0, count: TokenFileHeader.byteCount))
        self.file = file
        header = TokenFileHeader(
            tokenType: tokenType, tokenCount: 0, documentCount: 0, vocabularySize: vocabularySize, tokenizer: tokenizer)
    }

    /// Adds tokens to the end of the document that is being written.
    public mutating func append(_ tokens: [Int32]) throws(PowerAttentionError) {
        if let token = tokens.first(where: { $0 < 0 || Int($0) >= header.vocabularySize }) {
            throw PowerAttentionError(argument: "token", given: "\(token)", expected: "0..<\(header.vocabularySize)")
        }
        switch header.tokenType {
        case .uint16: try file.append(tokens.map { UInt16(truncatingIfNeeded: $0).littleEndian })
        case .uint32: try file.append(tokens.map { $0.littleEndian })
        }
        header.tokenCount += tokens.count
    }

    /// Ends the document; the next token begins another.
    ///
    /// - Parameter heldOut: whether the document is for evaluation and not for training.
    public mutating func endDocument(heldOut: Bool = false) {
        table.append(documentStart..<header.tokenCount, heldOut: heldOut)
        documentStart = header.tokenCount
    }

    /// Writes the document table and the header, and gives the file its name. Tokens after the last ``endDocument(heldOut:)``
    /// are a document, too.
    public mutating func finish() throws(PowerAttentionError) {
        if documentStart < header.tokenCount { endDocument() }
        try file.append([UInt8](repeating: 0, count: header.tableOffset - file.byteCount))
        let entries = table.encoded()
        header.documentCount = entries.count
        header.tableChecksum = entries.withUnsafeBytes { Checksum.crc32($0) }
        try file.append(entries)
        let bytes = header.encoded()
        try bytes.span.bytes.withUnsafeBytes { bytes throws(PowerAttentionError) in try file.overwrite(bytes, at: 0) }
        try file.commit()
    }
}
