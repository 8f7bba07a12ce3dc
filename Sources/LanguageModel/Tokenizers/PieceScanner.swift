/// Cuts text into the pieces that GPT-2 merges within, as this pattern does over Unicode scalars:
///
///     '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// A byte that is no part of valid UTF-8 counts as a scalar that is neither letter, number nor space.
struct PieceScanner {
    private let bytes: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

    enum Kind: UInt8 { case letter, number, space, other }

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
        if byte < 0x80 { return (Self.ascii[Int(byte)], 1) }
        let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
        guard byte >= 0xC2, byte <= 0xF4, index + length <= bytes.count else { return (.other, 1) }
        var value = UInt32(byte) & (0x7F >> UInt32(length))
        for offset in 1..<length {
            let continuation = bytes[index + offset]
            guard continuation & 0xC0 == 0x80 else { return (.other, 1) }
            value = value << 6 | UInt32(continuation & 0x3F)
        }
        let smallest: UInt32 = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80
        guard value >= smallest, let scalar = Unicode.Scalar(value) else { return (.other, 1) }
        return (Self.kind(of: scalar), length)
    }

    static func kind(of scalar: Unicode.Scalar) -> Kind {
        let properties = scalar.properties
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
        case .decimalNumber, .letterNumber, .otherNumber: return .number
        default: return properties.isWhitespace ? .space : .other
        }
    }

    private static let ascii: [Kind] = (0..<128).map { kind(of: Unicode.Scalar(UInt8($0))) }
}
