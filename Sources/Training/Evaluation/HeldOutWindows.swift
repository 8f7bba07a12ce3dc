package import LanguageModel
package import Tensors

/// Which windows of the held-out documents are scored.
///
/// Windows of `context` tokens, and the token after them, are taken from as many documents as there are: the first window of
/// every document before any second one. A document that gives n of the m it has room for gives those that begin at
/// `⌊i·m/n⌋ · context` tokens, so its beginning is always among them. Documents shorter than one window are left out.
package struct HeldOutWindows: Sendable {
    package let context: Int
    /// The first tokens of the windows, in order.
    package let starts: [Int]
    /// The number of documents that the windows are from.
    package let documentCount: Int
    private let source: any TokenSource

    /// - Parameter limit: the largest number of windows.
    /// - Throws: `invalidArgument` where no document is long enough.
    package init(
        _ source: any TokenSource, documents: [Range<Int>], context: Int, limit: Int
    ) throws(PowerAttentionError) {
        let long = Array(documents.lazy.filter { $0.count > context }.prefix(limit))
        guard context >= 1, limit >= 1, !long.isEmpty else {
            let longest = documents.lazy.map(\.count).max() ?? 0
            throw PowerAttentionError(
                argument: "context", given: "\(context)",
                expected: "less than the \(longest) tokens of the longest of \(documents.count) held-out documents")
        }
        let room = long.map { ($0.count - 1) / context }
        var quota = room.map { min($0, limit / long.count) }
        var left = limit - quota.reduce(0, +)
        while left > 0, quota != room {
            for index in quota.indices where left > 0 && quota[index] < room[index] {
                quota[index] += 1
                left -= 1
            }
        }
        starts = long.indices.flatMap { index in
            (0..<quota[index]).map { long[index].lowerBound + $0 * room[index] / quota[index] * context }
        }
        documentCount = long.count
        self.context = context
        self.source = source
    }

    /// Window `index` and the token after it.
    package func window(_ index: Int) throws(PowerAttentionError) -> [Int32] {
        try source.tokens(in: starts[index]..<starts[index] + context + 1)
    }
}
