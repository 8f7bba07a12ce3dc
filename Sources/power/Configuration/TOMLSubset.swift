/// The part of TOML that configurations use: every line is blank, a comment, a header `[section]` or `key = value`, with keys
/// of letters, digits, `_` and `-`, and every value ends on its line.
///
/// A document is checked against it before the parser sees it, because the parser (toml++ 3.4 inside TOMLKit) ends the process
/// by an assertion or by using up the stack, not with an error, on some documents that are not TOML, such as `[[[`.
enum TOMLSubset {
    /// The first line that is outside of the subset, counted from 1, and what is wrong with it.
    static func firstViolation(in text: String) -> (line: Int, reason: String)? {
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if let reason = violation(Array(line.utf8)) { return (index + 1, reason) }
        }
        return nil
    }

    private static func violation(_ line: [UInt8]) -> String? {
        let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line[...]
        if line.contains(where: { $0 < 0x20 && $0 != UInt8(ascii: "\t") || $0 == 0x7F }) { return "a control character" }
        let rest = line.drop { isBlank($0) }
        guard let first = rest.first, first != UInt8(ascii: "#") else { return nil }
        if first == UInt8(ascii: "[") {
            let key = rest.dropFirst().prefix { isKey($0) }
            let end = rest.dropFirst(1 + key.count)
            guard !key.isEmpty, end.first == UInt8(ascii: "]") else { return "an illegal header" }
            return isEnd(end.dropFirst()) ? nil : "something after the header"
        }
        let key = rest.prefix { isKey($0) }
        let assignment = rest.dropFirst(key.count).drop { isBlank($0) }
        guard !key.isEmpty, assignment.first == UInt8(ascii: "=") else { return "no key = value" }
        return valueViolation(assignment.dropFirst().drop { isBlank($0) })
    }

    /// A string, or a word of the characters that numbers, dates and booleans have.
    private static func valueViolation(_ value: ArraySlice<UInt8>) -> String? {
        guard let first = value.first else { return "no value" }
        guard first == UInt8(ascii: "\"") || first == UInt8(ascii: "'") else {
            let word = value.prefix {
                isKey($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: ":")
            }
            guard !word.isEmpty else { return "an illegal value" }
            return isEnd(value.dropFirst(word.count)) ? nil : "something after the value"
        }
        var rest = value.dropFirst()
        while let next = rest.popFirst() {
            if next == first { return isEnd(rest) ? nil : "something after the value" }
            if next == UInt8(ascii: "\\"), first == UInt8(ascii: "\"") { rest = rest.dropFirst() }
        }
        return "a string without an end"
    }

    private static func isEnd(_ rest: ArraySlice<UInt8>) -> Bool {
        let rest = rest.drop { isBlank($0) }
        return rest.isEmpty || rest.first == UInt8(ascii: "#")
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    private static func isKey(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
