package import LanguageModel
package import Tensors

/// Documents laid end to end, the first following the last: what training windows are cut from.
package struct TokenRing: Sendable {
    private let source: any TokenSource
    private let documents: [Range<Int>]
    /// For every document the position of its first token on the ring.
    private let starts: [Int]
    package let tokenCount: Int

    package init(_ source: any TokenSource, documents: [Range<Int>]) {
        self.source = source
        self.documents = documents
        var starts: [Int] = []
        var count = 0
        for document in documents {
            starts.append(count)
            count += document.count
        }
        self.starts = starts
        tokenCount = count
    }

    /// The `count` tokens from position `start` on.
    ///
    /// - Precondition: there is a token, and `start` is on the ring.
    package func tokens(from start: Int, count: Int) throws(PowerAttentionError) -> [Int32] {
        precondition((0..<tokenCount).contains(start), "position \(start) on a ring of \(tokenCount) tokens")
        var result: [Int32] = []
        result.reserveCapacity(count)
        var index = document(at: start)
        var offset = start - starts[index]
        while result.count < count {
            let document = documents[index]
            let first = document.lowerBound + offset
            let part = try source.tokens(in: first..<min(document.upperBound, first + count - result.count))
            result.append(contentsOf: part)
            index = index + 1 == documents.count ? 0 : index + 1
            offset = 0
        }
        return result
    }

    /// The last document that begins at or before `position`: a binary search. Of those that begin at the same position all
    /// but the last are empty.
    private func document(at position: Int) -> Int {
        var (low, high) = (0, starts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= position { low = middle } else { high = middle }
        }
        return low
    }
}
