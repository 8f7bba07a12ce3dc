import CUDARuntime
import Testing

@Suite struct ProductChoiceTests {
    @Test(arguments: [
        // Few waves; sums that are written in float32; long ones; short ones of many waves.
        (waves: [1.95, 3.9, 2.5] as [Float], terms: 768, writesHalves: true, expected: 0),
        ([11.6, 23.3, 18.6], 768, false, 0), ([57, 99.4, 50.4], 4096, true, 0), ([10.4, 18.6, 23.3, 11.6], 768, true, 2),
        ([12], 768, true, 0),
    ])
    func smallTilesWhereThereAreMany(waves: [Float], terms: Int, writesHalves: Bool, expected: Int) {
        #expect(ProductChoice.preferred(waves, terms: terms, writesHalves: writesHalves) == expected)
    }

    @Test func noneOfNone() { #expect(ProductChoice.preferred([], terms: 768, writesHalves: true) == nil) }
}
