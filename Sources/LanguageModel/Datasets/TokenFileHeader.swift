import Tensors

/// The first 128 bytes of a token file; ``TokenFile`` documents the format.
struct TokenFileHeader: Hashable {
    var tokenType: TokenType
    var tokenCount: Int
    var documentCount: Int
    var vocabularySize: Int
    var tokenizer: String
    /// CRC-32 of the document table.
    var tableChecksum: UInt32 = 0

    static let byteCount = 128
    static let magic = Array("PWRTOKEN".utf8)
    static let version: UInt32 = 1
    static let longestName = 64

    /// Where the document table begins: after the tokens, at a multiple of eight.
    var tableOffset: Int { (Self.byteCount + tokenCount * tokenType.byteCount + 7) / 8 * 8 }
    /// The size of the whole file.
    var fileByteCount: Int { tableOffset + documentCount * TokenFileTable.bytesPerDocument }

    func encoded() -> [UInt8] {
        var bytes = Self.magic
        func append(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.littleEndian) { bytes += $0 } }
        append(Self.version)
        append(UInt32(tokenType.byteCount))
        append(UInt64(tokenCount))
        append(UInt64(documentCount))
        append(UInt64(vocabularySize))
        append(tableChecksum)
        append(UInt32(tokenizer.utf8.count))
        bytes += tokenizer.utf8
        bytes += [UInt8](repeating: 0, count: Self.byteCount - 4 - bytes.count)
        append(bytes.withUnsafeBytes { Checksum.crc32($0) })
        return bytes
    }

    /// Reads the header of a file that begins with ``magic``, and checks it against the file's size.
    init(_ file: borrowing OpenFile) throws(PowerAttentionError) {
        let path = file.path
        func damaged(_ given: String, _ expected: String) -> PowerAttentionError {
            PowerAttentionError(.damagedFile, argument: path, given: given, expected: expected)
        }
        guard file.byteCount >= Self.byteCount else {
            throw damaged("a token file that ends at byte \(file.byteCount)", "a header of \(Self.byteCount) bytes")
        }
        let bytes = try file.bytes(0..<Self.byteCount)
        func integer(_ range: Range<Int>) -> UInt64 { bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        let version = integer(8..<12)
        guard version == Self.version else { throw damaged("a token file of version \(version)", "version \(Self.version)") }
        guard integer(124..<128) == UInt64(bytes[..<124].withUnsafeBytes { Checksum.crc32($0) }) else {
            throw damaged("a token file whose header does not match its checksum", "an undamaged file")
        }
        let nameLength = integer(44..<48)
        guard let tokenType = TokenType.allCases.first(where: { $0.byteCount == Int(integer(12..<16)) }),
            nameLength <= Self.longestName,
            let name = String(validating: bytes[48..<48 + Int(nameLength)], as: UTF8.self)
        else { throw damaged("a token file with an impossible header", "uint16 or uint32 tokens and a tokenizer's name") }
        let (tokens, documents, vocabulary) = (integer(16..<24), integer(24..<32), integer(32..<40))
        let limit = UInt64(min(file.byteCount, 1 << 60))
        guard (1...UInt64(tokenType.largestVocabulary)).contains(vocabulary) else {
            throw damaged("a vocabulary of \(vocabulary)", "1…\(tokenType.largestVocabulary) for \(tokenType.rawValue) tokens")
        }
        guard tokens <= limit / UInt64(tokenType.byteCount), documents <= limit / 8 else {
            throw damaged(
                "\(file.byteCount) bytes, a truncated file", "those of \(tokens) tokens in \(documents) documents")
        }
        self.init(
            tokenType: tokenType, tokenCount: Int(tokens), documentCount: Int(documents), vocabularySize: Int(vocabulary),
            tokenizer: name, tableChecksum: UInt32(integer(40..<44)))
        guard fileByteCount == file.byteCount else {
            throw damaged(
                "\(file.byteCount) bytes, \(file.byteCount < fileByteCount ? "a truncated file" : "more than were written")",
                "the \(fileByteCount) bytes of \(tokens) tokens in \(documents) documents")
        }
    }

    init(
        tokenType: TokenType, tokenCount: Int, documentCount: Int, vocabularySize: Int, tokenizer: String,
        tableChecksum: UInt32 = 0
    ) {
        self.tokenType = tokenType
        self.tokenCount = tokenCount
        self.documentCount = documentCount
        self.vocabularySize = vocabularySize
        self.tokenizer = tokenizer
        self.tableChecksum = tableChecksum
    }
}
