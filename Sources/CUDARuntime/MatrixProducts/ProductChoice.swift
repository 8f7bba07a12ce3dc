/// Which of the algorithms that cuBLASLt offers for a product is taken.
package enum ProductChoice {
    /// The first, which is the best by the library's own judgement. But of products of many tiles whose results are short sums, written in 16
    /// bits, the one of the largest tiles among those of at most 128 × 160: several of their blocks share a multiprocessor, and what one writes
    /// leaves while another multiplies (`Benchmarks/HOPPER.md`). Where no tiles are so small, or blocks go on from one to the next, it is the
    /// one that leaves the least of the card idle.
    ///
    /// - Parameters:
    ///   - waves: how often each algorithm fills the card with blocks.
    ///   - results: the numbers of the result for every multiprocessor.
    ///   - terms: of a sum.
    /// - Returns: `nil` where there is none.
    package static func preferred(_ waves: [Float], results: Float, terms: Int, writesHalves: Bool) -> Int? {
        guard !waves.isEmpty else { return nil }
        guard writesHalves, terms <= fewTerms, results >= manyTiles * smallTile else { return 0 }
        let small = waves.indices.filter { results <= waves[$0] * smallTile }
        return small.min { waves[$0] < waves[$1] } ?? waves.indices.max { waves[$0] < waves[$1] }
    }

    private static let (manyTiles, smallTile, fewTerms) = (8 as Float, 128 * 160 as Float, 3072)
}
