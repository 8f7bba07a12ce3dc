import CUDARuntime
import Testing

@Suite struct ProductChoiceTests {
    /// Results of 65,536 × 768 and 65,536 × 3,072 on 132 multiprocessors, and the waves that cuBLASLt tells of its offers for them.
    private static let (narrow, wide) = (65_536 * 768 / 132 as Float, 65_536 * 3072 / 132 as Float)

    @Test(arguments: [
        // Sums that are written in float32; long ones; few results; the largest of small tiles; none but large ones, and blocks that go on.
        (waves: [11.6, 23.3, 18.6] as [Float], results: narrow, terms: 768, writesHalves: false, expected: 0),
        ([57, 99.4, 50.4], wide, 4096, true, 0), ([1.95, 3.9, 2.5], 80_000, 768, true, 0),
        ([11.64, 15.52, 18.64, 23.27], narrow, 768, true, 2), ([46.55, 62.06, 93.09, 124.12], wide, 768, true, 2),
        ([46.55, 46.6, 62.06], wide, 768, true, 2), ([0.91, 1.0, 1.0, 0.85], wide, 768, true, 1), ([12], narrow, 768, true, 0),
    ])
    func smallTilesWhereThereAreMany(waves: [Float], results: Float, terms: Int, writesHalves: Bool, expected: Int) {
        #expect(ProductChoice.preferred(waves, results: results, terms: terms, writesHalves: writesHalves) == expected)
    }

    @Test func noneOfNone() { #expect(ProductChoice.preferred([], results: 1e6, terms: 768, writesHalves: true) == nil) }
}
