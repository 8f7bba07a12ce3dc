/// The memory of a card, in bytes.
package struct MemoryReport: Sendable, Hashable, CustomStringConvertible {
    /// Held by this package for tensors that live, and for graphs.
    package let inUse: Int
    /// Held by this package for the next tensors.
    package let idle: Int
    /// The most that was ever in use.
    package let peak: Int
    /// What the card has left for everybody, and what it has in all.
    package let free, total: Int

    package var description: String {
        "\(Self.text(inUse)) in use (at most \(Self.text(peak))), \(Self.text(idle)) idle, \(Self.text(free)) free of "
            + Self.text(total)
    }

    /// A number of bytes with three digits, `1.50 GiB`.
    package static func text(_ bytes: Int) -> String {
        var value = Double(bytes)
        var unit = "bytes"
        for next in ["KiB", "MiB", "GiB", "TiB"] where value >= 1024 {
            value /= 1024
            unit = next
        }
        guard unit != "bytes" else { return "\(bytes) bytes" }
        let digits = value < 10 ? 100.0 : value < 100 ? 10.0 : 1.0
        return "\((value * digits).rounded() / digits) \(unit)"
    }
}
