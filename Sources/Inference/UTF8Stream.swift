/// Turns the bytes of tokens into text as they come: the beginning of a character that is not complete yet is held back, and bytes
/// that are no UTF-8 become U+FFFD, exactly as if all bytes had come at once.
package struct UTF8Stream {
    private var pending: [UInt8] = []

    package init() {}

    /// The text that `bytes` completes.
    package mutating func append(_ bytes: some Sequence<UInt8>) -> String {
        pending.append(contentsOf: bytes)
        let complete = pending.count - Self.incompleteSuffix(pending)
        defer { pending.removeFirst(complete) }
        return String(decoding: pending[..<complete], as: UTF8.self)
    }

    /// What is left, after the last byte.
    package mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// The number of bytes at the end that more bytes could make a character.
    private static func incompleteSuffix(_ bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let lead = bytes[bytes.count - length]
            if lead & 0b1100_0000 == 0b1000_0000 { continue }
            let expected = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1
            return expected > length ? length : 0
        }
        return 0
    }
}
