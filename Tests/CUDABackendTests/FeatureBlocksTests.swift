import BackendInterface
import CUDABackend
import Testing

/// Blocks of 16 features stand for the same polynomial as the features they are made of.
@Suite struct FeatureBlocksTests {
    @Test(arguments: [(1, 20, 1), (2, 16, 1), (2, 30, 8), (3, 17, 1), (3, 10, 3), (4, 6, 4), (4, 12, 1)])
    func sumOfProductsIsThePower(_ degree: Int, _ width: Int, _ tile: Int) {
        let blocks = FeatureBlocks(SymmetricPower(degree: degree, width: width, tile: tile))
        // Rows are padded with zeros to whole blocks.
        let padding = [Double](repeating: 0, count: (width + 15) / 16 * 16 - width)
        let x = (0..<width).map { Double(($0 * 7 + 3) % 11) / 11 - 0.4 } + padding
        let y = (0..<width).map { Double(($0 * 5 + 1) % 13) / 13 - 0.3 } + padding
        func feature(_ v: [Double], _ word: UInt32, _ n: Int) -> Double {
            let last = Int(word >> 24) * FeatureBlocks.size + n
            return (0..<degree - 1).reduce(v[last]) { $0 * v[Int(word >> (8 * $1) & 0xff)] }
        }
        var sum = 0.0
        for place in 0..<blocks.count {
            let word = blocks.blocks[place / FeatureBlocks.size]
            let n = place % FeatureBlocks.size
            sum += Double(blocks.coefficients[place]) * feature(x, word, n) * feature(y, word, n)
        }
        let inner = zip(x, y).reduce(0) { $0 + $1.0 * $1.1 }
        let expected = (0..<degree).reduce(1.0) { product, _ in product * inner }
        #expect(abs(sum - expected) <= 1e-12 * max(1, abs(expected)))
    }

    @Test func everyFeatureOfTheStateHasOnePlace() {
        let power = SymmetricPower(degree: 2, width: 30, tile: 8)
        let blocks = FeatureBlocks(power)
        for (feature, place) in blocks.internal.enumerated() where place >= 0 {
            #expect(blocks.external[Int(place)] == Int32(feature))
        }
        #expect(blocks.external.filter { $0 >= 0 }.count == blocks.internal.filter { $0 >= 0 }.count)
    }

    /// The kernels of Hopper load several prefixes of degree 2 at once, and the last factors of eight blocks.
    @Test(arguments: [(16, 1), (18, 1), (30, 8), (64, 8), (128, 16)])
    func blocksOfDegreeTwoAreEights(_ width: Int, _ tile: Int) {
        let blocks = FeatureBlocks(SymmetricPower(degree: 2, width: width, tile: tile)).blocks
        #expect(blocks.count.isMultiple(of: 8))
        #expect(blocks.count * FeatureBlocks.size == FeatureBlocks.count(ofDegreeTwo: width))
        for (n, word) in blocks.enumerated() {
            let first = blocks[n / 8 * 8]
            #expect(word == first + UInt32(n % 8) && (first & 0xff).isMultiple(of: 8))
        }
    }
}
