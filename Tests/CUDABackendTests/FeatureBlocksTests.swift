import BackendInterface
import CUDABackend
import Testing

/// Blocks of 16 features stand for the same polynomial as the features they are made of.
@Suite struct FeatureBlocksTests {
    private static func vectors(_ width: Int) -> (x: [Double], y: [Double]) {
        // Rows are padded with zeros to whole blocks.
        let padding = [Double](repeating: 0, count: (width + 15) / 16 * 16 - width)
        let x = (0..<width).map { Double(($0 * 7 + 3) % 11) / 11 - 0.4 } + padding
        let y = (0..<width).map { Double(($0 * 5 + 1) % 13) / 13 - 0.3 } + padding
        return (x, y)
    }

    private static func features(_ v: [Double], _ blocks: FeatureBlocks, degree: Int) -> [Double] {
        (0..<blocks.count).map { place in
            let word = blocks.blocks[place / FeatureBlocks.size]
            let last = Int(word >> 24) * FeatureBlocks.size + place % FeatureBlocks.size
            return (0..<degree - 1).reduce(v[last]) { $0 * v[Int(word >> (8 * $1) & 0xff)] }
        }
    }

    @Test(arguments: [
        (1, 20, 1), (2, 16, 1), (2, 30, 8), (2, 64, 4), (3, 17, 1), (3, 10, 3), (3, 40, 4), (4, 6, 4), (4, 12, 1), (4, 16, 4),
        (4, 20, 1),
    ])
    func sumOfProductsIsThePower(_ degree: Int, _ width: Int, _ tile: Int) {
        let blocks = FeatureBlocks(SymmetricPower(degree: degree, width: width, tile: tile))
        let (x, y) = Self.vectors(width)
        let (left, right) = (Self.features(x, blocks, degree: degree), Self.features(y, blocks, degree: degree))
        let sum = (0..<blocks.count).reduce(0.0) { $0 + Double(blocks.coefficients[$1]) * left[$1] * right[$1] }
        let inner = zip(x, y).reduce(0) { $0 + $1.0 * $1.1 }
        let expected = (0..<degree).reduce(1.0) { product, _ in product * inner }
        #expect(abs(sum - expected) <= 1e-12 * max(1, abs(expected)))
    }

    @Test(arguments: [(1, 20, 1), (2, 30, 8), (3, 17, 4), (4, 8, 1), (4, 8, 8)])
    func featuresOfTheStateAreMembersOfEqualOnes(_ degree: Int, _ width: Int, _ tile: Int) {
        let power = SymmetricPower(degree: degree, width: width, tile: tile)
        let blocks = FeatureBlocks(power)
        let x = Self.vectors(width).x
        let features = Self.features(x, blocks, degree: degree)
        #expect(blocks.internal.count == power.dimension)
        var sums = [Float](repeating: 0, count: blocks.count)
        var seen = 0
        for place in 0..<blocks.count {
            let isCounted = blocks.coefficients[place] > 0
            for n in blocks.memberStarts[place]..<blocks.memberStarts[place + 1] {
                let member = Int(blocks.members[Int(n)])
                let word = blocks.factors[member]
                let product = (0..<degree - 1).reduce(x[Int(word >> 24)]) { $0 * x[Int(word >> (8 * $1) & 0xff)] }
                #expect((blocks.internal[member] == Int32(place)) == isCounted)
                #expect(abs(product - features[place]) <= 1e-15)
                guard isCounted else { continue }
                sums[place] += blocks.externalCoefficients[member]
                seen += 1
            }
            // Others have members too, but for products with what fills up the last 16.
            let word = blocks.blocks[place / FeatureBlocks.size]
            let last = Int(word >> 24) * FeatureBlocks.size + place % FeatureBlocks.size
            let indices = (0..<degree - 1).map { Int(word >> (8 * $0) & 0xff) } + [last]
            #expect((blocks.memberStarts[place] < blocks.memberStarts[place + 1]) == indices.allSatisfy { $0 < width })
        }
        #expect(sums == blocks.coefficients)
        #expect(seen == blocks.internal.count { $0 >= 0 })
        #expect(seen == blocks.factors.count { $0 != .max })
    }

    /// The kernels of Hopper load the factors of four blocks at once, and keep the last and the first ones as long as tiles share them. Zeros
    /// cost as much as features that count. At degree 2 there are tiles for whole sixteens of factors.
    @Test(arguments: [
        (2, 16, 256), (2, 18, 768), (2, 64, 2_560), (2, 128, 9_216), (3, 16, 1_536), (3, 32, 8_192), (3, 64, 53_248),
        (4, 8, 1_408), (4, 16, 7_040),
    ])
    func blocksComeInTilesOfFour(_ degree: Int, _ width: Int, _ count: Int) {
        for tile in [1, 4] {
            let blocks = FeatureBlocks(SymmetricPower(degree: degree, width: width, tile: tile))
            #expect(blocks.count == count)
            if width.isMultiple(of: FeatureBlocks.size) { #expect(FeatureBlocks.count(degree: degree, width: width) == count) }
            #expect(blocks.blocks.count.isMultiple(of: 4))
            var tiles: [[UInt32]] = []
            for (n, word) in blocks.blocks.enumerated() {
                let first = blocks.blocks[n / 4 * 4]
                #expect(word == first + UInt32(n % 4) && (first & 0xff).isMultiple(of: 4))
                if n % 4 == 0 { tiles.append([word >> 24, word & 0xff, word >> 16 & 0xff, word >> 8 & 0xff]) }
            }
            #expect(zip(tiles, tiles.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
        }
    }
}
