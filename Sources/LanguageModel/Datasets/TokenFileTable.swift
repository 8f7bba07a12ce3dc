import Tensors

/// The document table at the end of a token file: for every document, eight bytes with the number of the token after its last
/// one, shifted left by one bit, plus one where the document is held out.
struct TokenFileTable {
    static let bytesPerDocument = 8

    private(set) var documents: [Range<Int>] = []
    private(set) var isHeldOut: [Bool] = []

    init() {}

    mutating func append(_ document: Range<Int>, heldOut: Bool) {
        documents.append(document)
        isHeldOut.append(heldOut)
    }

    func encoded() -> [UInt64] {
        zip(documents, isHeldOut).map { (UInt64($0.upperBound) << 1 | ($1 ? 1 : 0)).littleEndian }
    }

    /// Reads the table; every document must begin where the one before ends, and the last one end with the tokens.
    init(_ bytes: UnsafeRawBufferPointer, _ header: TokenFileHeader, path: String) throws(PowerAttentionError) {
        func damaged(_ given: String, _ expected: String) -> PowerAttentionError {
            PowerAttentionError(.damagedFile, argument: path, given: given, expected: expected)
        }
        guard Checksum.crc32(bytes) == header.tableChecksum else {
            throw damaged("a document table that does not match its checksum", "an undamaged file")
        }
        documents.reserveCapacity(header.documentCount)
        isHeldOut.reserveCapacity(header.documentCount)
        var start = 0
        for index in 0..<header.documentCount {
            let offset = index * Self.bytesPerDocument
            let entry = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            let end = Int(entry >> 1)
            guard end >= start, end <= header.tokenCount else {
                throw damaged(
                    "document \(index) from token \(start) to \(end)", "documents in order, of \(header.tokenCount) tokens")
            }
            append(start..<end, heldOut: entry & 1 == 1)
            start = end
        }
        guard start == header.tokenCount else {
            throw damaged("documents of \(start) tokens", "documents of all \(header.tokenCount) tokens")
        }
    }
}
