import CUDARuntime
import Testing

@Suite struct ProductChoiceTests {
    @Test(arguments: [
        // Few waves, as of a short product; sums that are written in float32; many waves.
        ([1.95, 3.9, 2.5], true, 0), ([11.6, 23.3, 18.6], false, 0), ([10.4, 18.6, 23.3, 11.6], true, 2), ([12], true, 0),
    ] as [([Float], Bool, Int)])
    func smallTilesWhereThereAreMany(waves: [Float], writesHalves: Bool, expected: Int) {
        #expect(ProductChoice.preferred(waves, writesHalves: writesHalves) == expected)
    }

    @Test func noneOfNone() { #expect(ProductChoice.preferred([], writesHalves: true) == nil) }
}
