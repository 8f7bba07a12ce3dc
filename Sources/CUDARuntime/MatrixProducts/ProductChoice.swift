/// Which of the algorithms that cuBLASLt offers for a product is taken.
package enum ProductChoice {
    /// The first, which is the best by the library's own judgement. But of products of many waves of blocks whose results are short sums, written
    /// in 16 bits, the one of most waves, that is of the smallest tiles: some of their blocks share a multiprocessor, and what one writes leaves
    /// while another multiplies (`Benchmarks/HOPPER.md`).
    ///
    /// - Parameters:
    ///   - waves: how often each algorithm fills the card with blocks.
    ///   - terms: of a sum.
    /// - Returns: `nil` where there is none.
    package static func preferred(_ waves: [Float], terms: Int, writesHalves: Bool) -> Int? {
        guard let first = waves.first else { return nil }
        guard writesHalves, terms <= fewTerms, first >= manyWaves else { return 0 }
        return waves.indices.max { waves[$0] < waves[$1] }
    }

    private static let (manyWaves, fewTerms) = (8 as Float, 3072)
}
