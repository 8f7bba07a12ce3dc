/// The memory of a card as this process sees it, in bytes.
package struct MemoryReport: Sendable, Hashable, CustomStringConvertible {
    /// Held by tensors and tables; held for reuse; the most that was ever in use.
    package var inUse, idle, peak: Int
    /// What the card has left, of all that it has, whoever uses it.
    package var free, total: Int

    package var description: String {
        func megabytes(_ bytes: Int) -> String { "\((bytes + 500_000) / 1_000_000) MB" }
        return "\(megabytes(inUse)) in use, \(megabytes(idle)) kept for reuse, \(megabytes(free)) of \(megabytes(total)) free"
    }
}
