import Foundation
import Synchronization
public import Tensors

/// The byte-pair encoding of GPT-2: 50,256 merges and `<|endoftext|>`, the ids of tiktoken's `gpt2`.
///
/// Text is cut into words, numbers, runs of other characters and spaces; inside each piece the pair of neighbours with the lowest
/// rank is merged until none is in the vocabulary. Bytes that are not UTF-8 are kept.
public struct GPT2Tokenizer: Tokenizer {
    private let vocabulary: BytePairVocabulary

    public var name: String { BuiltInTokenizer.gpt2.rawValue }
    public var vocabularySize: Int { vocabulary.count + 1 }
    public var endOfText: Int32 { Int32(vocabulary.count) }

    /// `<|endoftext|>`, which ``encode(_:allowingSpecial:)`` maps to ``endOfText`` where that is allowed.
    public static let endOfTextMarker = "<|endoftext|>"

    /// Reads a vocabulary in tiktoken's format: a line a token, base64 of its bytes and its rank, ranks from 0 up.
    ///
    /// - Throws: `PowerAttentionError` where the file cannot be read or is not such a vocabulary.
    public init(contentsOf path: String) throws(PowerAttentionError) {
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            throw PowerAttentionError(
                .inputOutput, argument: path, given: "an unreadable file", expected: "a tiktoken vocabulary", cause: error)
        }
        var tokens: [[UInt8]] = []
        for (number, line) in data.split(separator: UInt8(ascii: "\n")).enumerated() {
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count == 2, let token = Data(base64Encoded: Data(fields[0])), !token.isEmpty, token.count < 1024,
                Int(String(decoding: fields[1], as: UTF8.self)) == tokens.count
            else {
                throw PowerAttentionError(
                    .damagedFile, argument: path, given: "line \(number + 1)",
                    expected: "the base64 of a token and its rank, \(tokens.count)")
            }
            tokens.append(Array(token))
        }
        vocabulary = try BytePairVocabulary(tokens, file: path)
    }

    private static let loaded = Mutex<GPT2Tokenizer?>(nil)

    /// The tokenizer with the vocabulary that comes with the package, read once.
    public static func shared() throws(PowerAttentionError) -> GPT2Tokenizer {
        if let tokenizer = loaded.withLock({ $0 }) { return tokenizer }
        let tokenizer = try GPT2Tokenizer(contentsOf: PackageResources.path(of: "gpt2.tiktoken"))
        loaded.withLock { $0 = tokenizer }
        return tokenizer
    }

    /// - Complexity: O(n log n); large texts are encoded on all cores.
    public func encode(bytes: UnsafeBufferPointer<UInt8>) -> [Int32] {
        guard let base = bytes.baseAddress else { return [] }
        let cuts = Self.cuts(bytes)
        guard cuts.count > 2 else { return encodePart(bytes) }
        let shared = SharedReadOnly(base)
        let parts = Mutex([[Int32]](repeating: [], count: cuts.count - 1))
        parallelFor(cuts.count - 1) { index in
            let ids = encodePart(
                UnsafeBufferPointer(start: shared.pointer + cuts[index], count: cuts[index + 1] - cuts[index]))
            parts.withLock { $0[index] = ids }
        }
        return parts.withLock { Array($0.joined()) }
    }

    /// Like ``Tokenizer/encode(_:)``, with every `<|endoftext|>` in the text as the id ``endOfText`` where `allowingSpecial` is set;
    /// as ordinary text otherwise.
    public func encode(_ text: String, allowingSpecial: Bool) -> [Int32] {
        guard allowingSpecial else { return encode(text) }
        var ids: [Int32] = []
        var rest = Substring(text)
        while let marker = rest.range(of: Self.endOfTextMarker, options: .literal) {
            ids += encode(String(rest[..<marker.lowerBound]))
            ids.append(endOfText)
            rest = rest[marker.upperBound...]
        }
        return ids + encode(String(rest))
    }

    private func encodePart(_ bytes: UnsafeBufferPointer<UInt8>) -> [Int32] {
        var ids: [Int32] = []
        ids.reserveCapacity(bytes.count / 3)
        var scanner = PieceScanner(bytes)
        while let piece = scanner.next() {
            vocabulary.encode(UnsafeBufferPointer(rebasing: bytes[piece]), into: &ids)
        }
        return ids
    }

    /// Where a long text is cut for the cores.
    private static func cuts(_ bytes: UnsafeBufferPointer<UInt8>) -> [Int] {
        let span = 1 << 16
        var cuts = [0]
        var index = span
        while index < bytes.count {
            if PieceScanner.isCut(bytes, at: index) {
                cuts.append(index)
                index += span
            } else {
                index += 1
            }
        }
        return cuts + [bytes.count]
    }

    public func lastCut(in bytes: UnsafeBufferPointer<UInt8>) -> Int? {
        (1..<max(1, bytes.count)).last { PieceScanner.isCut(bytes, at: $0) }
    }

    public func bytes(of ids: [Int32]) throws(PowerAttentionError) -> [UInt8] {
        var bytes: [UInt8] = []
        for id in ids {
            if id == endOfText {
                bytes += Array(Self.endOfTextMarker.utf8)
            } else if let string = vocabulary.string(id) {
                bytes += string
            } else {
                throw PowerAttentionError(argument: "token", given: "\(id)", expected: "0…\(endOfText)")
            }
        }
        return bytes
    }
}
