import Tensors

/// Damages bytes in the ways in which files are damaged, and in those that readers get wrong. The same seed gives the same
/// damage.
package struct Mutator {
    private var random: RandomGenerator

    package init(seed: UInt64) { random = RandomGenerator(seed: seed) }

    /// A damaged copy of `original`: one to four of cutting, growing, flipping, overwriting, moving and doubling.
    package mutating func mutated(_ original: [UInt8]) -> [UInt8] {
        var bytes = original
        for _ in 0..<Int.random(in: 1...4, using: &random) { mutate(&bytes) }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else {
            bytes = (0..<Int.random(in: 0...64, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            return
        }
        let place = Int.random(in: 0..<bytes.count, using: &random)
        let span = place..<min(bytes.count, place + Int.random(in: 1...32, using: &random))
        switch Int.random(in: 0..<9, using: &random) {
        case 0: bytes.removeSubrange(place...)
        case 1: bytes += (0..<Int.random(in: 1...64, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        case 2: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 3: for index in span { bytes[index] = UInt8.random(in: 0...255, using: &random) }
        case 4: bytes.removeSubrange(span)
        case 5: bytes.insert(contentsOf: bytes[span], at: Int.random(in: 0...bytes.count, using: &random))
        case 6: overwriteInteger(&bytes, at: place)
        case 7: overwriteDigits(&bytes, near: place)
        default: bytes.replaceSubrange(span, with: Self.phrases.randomElement(using: &random) ?? [])
        }
    }

    /// Puts an integer at the edge of a type where a little-endian field may be.
    private mutating func overwriteInteger(_ bytes: inout [UInt8], at place: Int) {
        let edges: [UInt64] = [
            0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF,
            0x8000_0000_0000_0000, UInt64(bytes.count), UInt64(bytes.count) &+ 1,
        ]
        let value = edges.randomElement(using: &random) ?? 0
        let size = [1, 2, 4, 8].randomElement(using: &random) ?? 8
        let aligned = Bool.random(using: &random) ? place / size * size : place
        for offset in 0..<size where aligned + offset < bytes.count {
            bytes[aligned + offset] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(offset)))
        }
    }

    /// Replaces a decimal number of a text by another.
    private mutating func overwriteDigits(_ bytes: inout [UInt8], near place: Int) {
        let isDigit = { (byte: UInt8) in (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
        guard let start = bytes[place...].firstIndex(where: isDigit) else { return }
        let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
        bytes.replaceSubrange(start..<end, with: Self.numbers.randomElement(using: &random) ?? [])
    }

    private static let numbers: [[UInt8]] = [
        "0", "-1", "1", "9223372036854775807", "9223372036854775808", "18446744073709551616", "1e400", "1e3", "0.5", "-0",
        "4611686018427387904", "3037000500", "00", String(repeating: "9", count: 400),
    ].map { Array($0.utf8) }

    private static let phrases: [[UInt8]] = [
        "null", "true", "{}", "[]", "\"", "{", "[", "}", "]", ":", ",", "\\u0000", "\\ud800", "\u{FEFF}", "é",
        String(repeating: "[", count: 3000), String(repeating: "{\"a\":", count: 3000), "\u{0}\u{0}\u{0}\u{0}",
    ].map { Array($0.utf8) }
}
