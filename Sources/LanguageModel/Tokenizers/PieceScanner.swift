/// Cuts text into the pieces that GPT-2 merges within, as this pattern does over Unicode scalars:
///
///     '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// A byte that is no part of valid UTF-8 counts as a scalar that is neither letter, number nor space.
struct PieceScanner {
    private let bytes: UnsafeBufferPointer<UInt8>
    /// ``basicPlane``, at hand: a static property is asked for with a call.
    private let kinds = Self.basicPlane
    private var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    private enum Kind: UInt8 { case letter, number, space, other }

    /// The next piece, or `nil` at the end.
    mutating func next() -> Range<Int>? {
        let start = position
        guard start < bytes.count else { return nil }
        if bytes[start] == UInt8(ascii: "'"), let length = contraction(after: start + 1) {
            position = start + 1 + length
            return start..<position
        }
        let first = bytes[start] == UInt8(ascii: " ") && start + 1 < bytes.count ? start + 1 : start
        let (kind, length) = scalar(at: first)
        if kind == .space {
            position = endOfSpaces(from: start)
        } else {
            position = first + length
            while position < bytes.count {
                let (next, length) = scalar(at: position)
                guard next == kind else { break }
                position += length
            }
        }
        return start..<position
    }

    private func contraction(after start: Int) -> Int? {
        guard start < bytes.count else { return nil }
        switch bytes[start] {
        case UInt8(ascii: "s"), UInt8(ascii: "d"), UInt8(ascii: "m"), UInt8(ascii: "t"): return 1
        case UInt8(ascii: "l"): return start + 1 < bytes.count && bytes[start + 1] == UInt8(ascii: "l") ? 2 : nil
        case UInt8(ascii: "v"), UInt8(ascii: "r"):
            return start + 1 < bytes.count && bytes[start + 1] == UInt8(ascii: "e") ? 2 : nil
        default: return nil
        }
    }

    /// Spaces up to the end of the text, or all but the last of several before something else.
    private func endOfSpaces(from start: Int) -> Int {
        var (end, last) = (start, start)
        while end < bytes.count {
            let (kind, length) = scalar(at: end)
            guard kind == .space else { return last > start ? last : end }
            last = end
            end += length
        }
        return end
    }

    /// The kind and length of the scalar at an index.
    private func scalar(at index: Int) -> (Kind, Int) {
        let byte = bytes[index]
        if byte < 0x80 { return (kinds[Int(byte)], 1) }
        let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
        guard byte >= 0xC2, byte <= 0xF4, index + length <= bytes.count else { return (.other, 1) }
        var value = UInt32(byte) & (0x7F >> UInt32(length))
        for offset in 1..<length {
            let continuation = bytes[index + offset]
            guard continuation & 0xC0 == 0x80 else { return (.other, 1) }
            value = value << 6 | UInt32(continuation & 0x3F)
        }
        let smallest: UInt32 = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80
        guard value >= smallest, value & 0x1F_F800 != 0xD800, let kind = Self.kind(value) else { return (.other, 1) }
        return (kind, length)
    }

    /// Letters and numbers are those of Unicode 16, as in tiktoken 0.14, whichever version the Swift runtime knows: a scalar
    /// that was assigned later counts as unassigned.
    private static func kind(of scalar: Unicode.Scalar) -> Kind {
        let properties = scalar.properties
        let kind: Kind
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: kind = .letter
        case .decimalNumber, .letterNumber, .otherNumber: kind = .number
        default: return properties.isWhitespace ? .space : .other
        }
        return (properties.age?.major ?? .max) <= 16 ? kind : .other
    }

    /// The kinds of the first 65,536 scalars; surrogates, which are none, count as other.
    private static let basicPlane: [Kind] = (0...UInt16.max).map { Unicode.Scalar($0).map(kind) ?? .other }

    private static func kind(_ value: UInt32) -> Kind? {
        if value < 0x10000 { return basicPlane[Int(value)] }
        return Unicode.Scalar(value).map(kind)
    }
}

extension PieceScanner {
    /// Whether a piece ends at `index` whatever comes before and after: white space that follows something else.
    static func isCut(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> Bool {
        let (before, after) = (bytes[index - 1], bytes[index])
        guard after == UInt8(ascii: " ") || after == UInt8(ascii: "\n") else { return false }
        if before < 0x80 { return basicPlane[Int(before)] != .space }
        var start = index - 1
        while start > 0, index - start < 4, bytes[start] & 0xC0 == 0x80 { start -= 1 }
        let (kind, length) = PieceScanner(bytes).scalar(at: start)
        return length != index - start || kind != .space
    }
}
