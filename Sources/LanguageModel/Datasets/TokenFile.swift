public import Tensors

/// Documents of token ids in a file that may be larger than memory: pages are read from the disk when they are touched.
///
/// Two formats are read. **Token files**, which ``TokenFileWriter`` and `power data build` write, all integers little endian:
///
/// | bytes | content |
/// |---|---|
/// | 0–7 | `PWRTOKEN` |
/// | 8–11 | version of the format: 1 |
/// | 12–15 | bytes a token: 2 (uint16) or 4 (uint32) |
/// | 16–23 | number of tokens, *n* |
/// | 24–31 | number of documents, *m* |
/// | 32–39 | size of the vocabulary; every token is less |
/// | 40–43 | CRC-32 of the document table |
/// | 44–47, 48–111 | length of the tokenizer's name, and the name in UTF-8 |
/// | 124–127 | CRC-32 of bytes 0–123 |
/// | 128… | the *n* tokens, then zeros up to a multiple of eight |
/// | …end | *m* times eight bytes: the number of the token after the document's last, times two, plus one where the document is held out |
///
/// In Python: `numpy.memmap(path, dtype="<u2", mode="r", offset=128, shape=n)`.
///
/// **LongCrawl64** (https://manifestai.com/articles/longcrawl64): files named `.bin` that are nothing but uint16 tokens of GPT-2's
/// encoding, 65,536 a document. Every hundredth document is held out, beginning with the last, at least one.
public struct TokenFile: TokenSource {
    /// Which of the two formats a file has.
    public enum Format: String, Sendable, Hashable {
        case tokenFile = "token file"
        case longCrawl64 = "LongCrawl64"
    }

    public let path: String
    public let format: Format
    public let tokenType: TokenType
    /// The name of the tokenizer that made the tokens.
    public let tokenizer: String
    /// One more than the largest id that may occur.
    public let vocabularySize: Int
    public let tokenCount: Int
    public let documents: [Range<Int>]
    private let isHeldOut: [Bool]
    private let firstToken: Int
    private let file: MappedFile

    /// The documents for training, as ranges of tokens.
    public var trainingDocuments: [Range<Int>] { zip(documents, isHeldOut).filter { !$1 }.map(\.0) }
    /// The documents that are held out, as ranges of tokens.
    public var heldOutDocuments: [Range<Int>] { zip(documents, isHeldOut).filter { $1 }.map(\.0) }
    /// The size of the file.
    public var byteCount: Int { file.byteCount }

    /// Opens a file. Its header and document table are checked; tokens are checked when they are read.
    ///
    /// - Throws: ``PowerAttentionError`` with code `inputOutput` where the file cannot be read, `damagedFile` where it is truncated,
    ///   damaged or of another format.
    /// - Complexity: O(documents).
    public init(_ path: String) throws(PowerAttentionError) {
        let opened = try OpenFile(reading: path)
        let magic = TokenFileHeader.magic
        let start = try opened.bytes(0..<min(magic.count, opened.byteCount))
        if start == magic {
            try self.init(header: TokenFileHeader(opened), path: path)
        } else if path.hasSuffix(".bin") {
            try self.init(longCrawl64: path)
        } else {
            throw PowerAttentionError(
                .damagedFile, argument: path, given: "not a token file",
                expected: "a file that power data build wrote, or one of LongCrawl64 named .bin")
        }
    }

    private init(header: TokenFileHeader, path: String) throws(PowerAttentionError) {
        file = try MappedFile(path)
        guard file.byteCount == header.fileByteCount else {
            throw PowerAttentionError(
                .inputOutput, argument: path, given: "changes while it is read", expected: "a finished file")
        }
        let table = try TokenFileTable(UnsafeRawBufferPointer(rebasing: file.bytes[header.tableOffset...]), header, path: path)
        self.path = path
        format = .tokenFile
        tokenType = header.tokenType
        tokenizer = header.tokenizer
        vocabularySize = header.vocabularySize
        tokenCount = header.tokenCount
        firstToken = TokenFileHeader.byteCount
        documents = table.documents
        isHeldOut = table.isHeldOut
    }

    private init(longCrawl64 path: String) throws(PowerAttentionError) {
        file = try MappedFile(path)
        let length = 65_536
        let (count, rest) = file.byteCount.quotientAndRemainder(dividingBy: length * TokenType.uint16.byteCount)
        guard count > 0, rest == 0 else {
            throw PowerAttentionError(
                .damagedFile, argument: path, given: "\(file.byteCount) bytes: truncated, or not LongCrawl64",
                expected: "documents of 131,072 bytes, 65,536 tokens of uint16 each")
        }
        self.path = path
        format = .longCrawl64
        tokenType = .uint16
        tokenizer = BuiltInTokenizer.gpt2.rawValue
        vocabularySize = 50_257
        tokenCount = count * length
        firstToken = 0
        documents = (0..<count).map { $0 * length..<($0 + 1) * length }
        isHeldOut = (0..<count).map { (count - 1 - $0).isMultiple(of: 100) }
        // Any file of the right size looks like LongCrawl64; a fifth of the numbers in one that is none is no token.
        _ = try tokens(in: 0..<length)
    }

    /// The tokens in `range`.
    ///
    /// - Precondition: `range` is within `0 ..< tokenCount`.
    /// - Throws: ``PowerAttentionError`` with code `damagedFile` where a number is no token of the vocabulary.
    public func tokens(in range: Range<Int>) throws(PowerAttentionError) -> [Int32] {
        precondition(range.lowerBound >= 0 && range.upperBound <= tokenCount, "tokens \(range) of \(tokenCount)")
        switch tokenType {
        case .uint16: return try tokens(in: range, as: UInt16.self)
        case .uint32: return try tokens(in: range, as: UInt32.self)
        }
    }

    private func tokens<Stored: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        in range: Range<Int>, as type: Stored.Type
    ) throws(PowerAttentionError) -> [Int32] {
        defer { withExtendedLifetime(file) {} }
        let bytes = file.bytes
        var largest: Stored = 0
        let tokens = [Int32](unsafeUninitializedCapacity: range.count) { buffer, count in
            var offset = firstToken + range.lowerBound * MemoryLayout<Stored>.size
            for index in 0..<range.count {
                let token = Stored(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Stored.self))
                largest = max(largest, token)
                buffer[index] = Int32(truncatingIfNeeded: token)
                offset += MemoryLayout<Stored>.size
            }
            count = range.count
        }
        guard Int(largest) < vocabularySize else {
            throw PowerAttentionError(
                .damagedFile, argument: path, given: "\(largest) among tokens \(range.lowerBound)…\(range.upperBound)",
                expected: "tokens of \(tokenizer), less than \(vocabularySize)")
        }
        return tokens
    }
}
