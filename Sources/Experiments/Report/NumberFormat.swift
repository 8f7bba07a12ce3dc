import Foundation

/// Numbers as text, the same in every locale. Numbers and their units are kept on one line by no-break spaces.
package enum NumberFormat {
    /// "1,234,567".
    package static func grouped(_ value: Int) -> String {
        let digits = String(value.magnitude)
        var result = value < 0 ? "−" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { result += "," }
            result.append(digit)
        }
        return result
    }

    /// A fixed number of decimals, with thousands separators: "12,345.60".
    package static func fixed(_ value: Double, digits: Int) -> String {
        guard value.isFinite else { return "\(value)" }
        let plain = String(format: "%.\(digits)f", abs(value))
        let parts = plain.split(separator: ".", maxSplits: 1)
        let whole = Int(parts[0]).map(grouped) ?? String(parts[0])
        let isZero = !plain.contains { $0 != "0" && $0 != "." }
        return (value < 0 && !isZero ? "−" : "") + whole + (parts.count > 1 ? ".\(parts[1])" : "")
    }

    /// The decimals that tell all of `values` apart from their rounding.
    package static func digits(_ values: [Double]) -> Int {
        (0...8).first { digits in
            let unit = pow(10, Double(digits))
            return values.allSatisfy { abs(($0 * unit).rounded() - $0 * unit) < 1e-6 * max(abs($0 * unit), 1) }
        } ?? 8
    }

    /// As few digits as say it: "0.0003", "1e-08", "6.906768".
    package static func general(_ value: Double) -> String {
        abs(value) < 1e15 && value == value.rounded() ? grouped(Int(value)) : String(format: "%.7g", value)
    }

    /// Three significant digits and a prefix: "1.23 M", "45.6 P".
    package static func compact(_ value: Double) -> String {
        let (divisor, prefix) = prefix(value)
        let scaled = value / divisor
        let digits = scaled >= 99.95 || (divisor == 1 && scaled == scaled.rounded()) ? 0 : scaled >= 9.995 ? 1 : 2
        return fixed(scaled, digits: digits) + (prefix.isEmpty ? "" : "\u{A0}\(prefix)")
    }

    /// The SI prefix in which `value` is read, and what it stands for.
    package static func prefix(_ value: Double) -> (divisor: Double, prefix: String) {
        let prefixes = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"]
        var (divisor, index) = (1.0, 0)
        while abs(value) / divisor >= 999.5, index + 1 < prefixes.count {
            divisor *= 1000
            index += 1
        }
        return (divisor, prefixes[index])
    }

    /// "38 s", "4 min 12 s", "3 h 05 min", "2 d 4 h".
    package static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds < 1e12 else { return "\(seconds)\u{A0}s" }
        if seconds < 9.95 { return fixed(seconds, digits: 1) + "\u{A0}s" }
        let whole = Int(seconds.rounded())
        let (minutes, hours) = (whole / 60, whole / 3600)
        if whole < 60 { return "\(whole)\u{A0}s" }
        if minutes < 60 { return "\(minutes)\u{A0}min\u{A0}\(padded(whole % 60))\u{A0}s" }
        if hours < 48 { return "\(hours)\u{A0}h\u{A0}\(padded(minutes % 60))\u{A0}min" }
        return "\(hours / 24)\u{A0}d\u{A0}\(hours % 24)\u{A0}h"
    }

    private static func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

    /// A key of a configuration in words: "learning_rate" and "learningRate" are both "learning rate".
    package static func words(_ key: String) -> String {
        var result = ""
        for character in key {
            if character == "_" {
                result += " "
            } else if character.isUppercase, let last = result.last, !last.isUppercase {
                result += " " + character.lowercased()
            } else {
                result.append(character)
            }
        }
        return result
    }
}
