/// The kernels that were launched since the card was last waited for: a failure on the card is one of theirs.
struct LaunchHistory: Sendable {
    private var recent: [KernelSource] = []
    private var count = 0
    private static let shown = 4

    mutating func append(_ kernel: KernelSource) {
        count += 1
        if recent.count == Self.shown { recent.removeFirst() }
        recent.append(kernel)
    }

    mutating func clear() { self = LaunchHistory() }

    /// `a, b and 3 before`, the last one first; nil where nothing was launched.
    var text: String? {
        guard !recent.isEmpty else { return nil }
        let names = recent.reversed().map(\.description).joined(separator: ", ")
        return count > recent.count ? "\(names) and \(count - recent.count) before" : names
    }
}
