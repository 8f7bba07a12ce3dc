/// Which of the algorithms that cuBLASLt offers for a product is taken.
package enum ProductChoice {
    /// The first, which is the best by the library's own judgement. But of products of many waves of blocks whose results are written in 16 bits
    /// the one of most waves, that is of the smallest tiles: some of their blocks share a multiprocessor, and what one writes leaves while
    /// another multiplies (`Benchmarks/HOPPER.md`).
    ///
    /// - Parameter waves: how often each algorithm fills the card with blocks.
    /// - Returns: `nil` where there is none.
    package static func preferred(_ waves: [Float], writesHalves: Bool) -> Int? {
        guard let first = waves.first else { return nil }
        guard writesHalves, first >= manyWaves else { return 0 }
        return waves.indices.max { waves[$0] < waves[$1] }
    }

    private static let manyWaves: Float = 8
}
