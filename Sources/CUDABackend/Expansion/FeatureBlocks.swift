package import BackendInterface

/// The features of the symmetric power as the kernels take them: blocks of 16 that share their first p − 1 factors, and from degree 2 on
/// tiles of four blocks that share all but their first factors, four neighbours from a multiple of four on.
///
/// What stands in a tile follows from ``MonomialFactors``. Every monomial is a feature once; the others of a tile, which other tiles hold or
/// have in another order, have coefficient zero: they are computed, and count for nothing, but a ``SymmetricStateLayout`` is made of them too.
/// So the features are the same for every τ. Outside, a τ above 1 has features that are equal to each other, the members of a feature here.
///
/// Blocks are sorted by their last factors, then by their first ones, so that a warp loads those once for many prefixes.
package struct FeatureBlocks: Sendable {
    /// One word a block: the indices of the prefix in bytes 0…2, the last factors divided by 16 in byte 3. Of a tile's words byte 0 differs.
    package let blocks: [UInt32]
    /// The multinomial coefficient of every feature, 16 a block; zero where the feature counts for nothing.
    package let coefficients: [Float]
    /// For every feature of the state outside, its place in the blocks, or −1 where it is always zero.
    package let `internal`: [Int32]
    /// For every feature of the state outside, its coefficient there; zero where it is always zero.
    package let externalCoefficients: [Float]
    /// For every feature of the state outside the indices of its factors, a byte each; all ones where it is always zero.
    package let factors: [UInt32]
    /// The features of the state outside that are the same monomial as feature n, whether that counts or not:
    /// `members[memberStarts[n]..<memberStarts[n + 1]]`.
    package let memberStarts, members: [Int32]

    package static let size = 16

    package init(_ power: SymmetricPower) {
        let table = FeaturePlaces(degree: power.degree, width: power.width)
        blocks = table.blocks
        var coefficients = [Float](repeating: 0, count: table.blocks.count * Self.size)
        for indices in table.monomials { coefficients[table.place(of: indices)] = Float(SymmetricPower.multinomial(indices)) }
        var places: [Int32] = []
        var external: [Float] = []
        var factors: [UInt32] = []
        for run in power.runs() {
            let prefix = [run.first, run.second, run.third].prefix(power.degree - 1).map(Int.init)
            for n in 0..<Int(run.length) {
                let indices = prefix + [Int(run.start) + n]
                let isZero = indices.contains { $0 >= power.width }
                places.append(isZero ? -1 : Int32(table.place(of: indices.sorted())))
                external.append(isZero ? 0 : Float(n < run.headLength ? run.headCoefficient : run.tailCoefficient))
                factors.append(isZero ? .max : Self.word(prefix: prefix, last: Int(run.start) + n))
            }
        }
        var lists = [[Int32]](repeating: [], count: coefficients.count)
        for (feature, place) in places.enumerated() where place >= 0 { lists[Int(place)].append(Int32(feature)) }
        var starts: [Int32] = [0]
        var members: [Int32] = []
        for (feature, coefficient) in coefficients.enumerated() {
            if coefficient > 0 {
                members += lists[feature]
            } else if let indices = Self.indices(blocks[feature / Self.size], feature % Self.size, in: power) {
                members += lists[table.place(of: indices)]
            }
            starts.append(Int32(members.count))
        }
        self.coefficients = coefficients
        self.internal = places
        self.externalCoefficients = external
        self.factors = factors
        self.memberStarts = starts
        self.members = members
    }

    /// The sorted indices of the factors of a block's feature n; `nil` where one is among the zeros that fill up the last 16.
    private static func indices(_ word: UInt32, _ n: Int, in power: SymmetricPower) -> [Int]? {
        let indices = (0..<power.degree - 1).map { Int(word >> (8 * $0) & 0xff) } + [Int(word >> 24) * size + n]
        return indices.allSatisfy { $0 < power.width } ? indices.sorted() : nil
    }

    /// Indices in the bytes of a word: up to three in front, one in byte 3.
    static func word(prefix: [Int], last: Int) -> UInt32 {
        prefix.enumerated().reduce(UInt32(last) << 24) { $0 | UInt32($1.element) << (8 * $1.offset) }
    }

    /// The number of features, those that count for nothing included.
    package var count: Int { blocks.count * Self.size }

    /// ``count`` without the blocks, for a width that is a multiple of 16; others have no more than the next one.
    package static func count(degree: Int, width: Int) -> Int {
        let groups = (width + size - 1) / size
        // Sixteens of which a monomial's factors are, and the tiles for each: in one, in two, and so on.
        let (pairs, triples) = (groups * (groups - 1) / 2, groups * (groups - 1) * (groups - 2) / 6)
        switch degree {
        case 1: return groups * size
        case 2: return 64 * (groups * 4 + pairs * 4)
        case 3: return 64 * (groups * 24 + pairs * 2 * 40 + triples * 64)
        default: return 64 * (groups * 110 + pairs * (2 * 208 + 544) + triples * 3 * 544 + triples * (groups - 3) / 4 * 1024)
        }
    }
}
