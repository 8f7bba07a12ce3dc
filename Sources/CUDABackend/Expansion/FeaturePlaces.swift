/// Where the monomials of a degree in so many numbers stand among the features of ``FeatureBlocks``.
struct FeaturePlaces {
    /// The tuples of indices, none smaller than the one before in it.
    let monomials: [[Int]]
    let blocks: [UInt32]
    private let degree: Int
    /// The first feature of every tile, by the tile's first word.
    private let starts: [UInt32: Int]

    init(degree: Int, width: Int) {
        self.degree = degree
        monomials = Self.monomials(degree: degree, width: width)
        // Kernels keep last factors, and first ones, from one tile to the next: words are sorted by these, then by the others.
        func order(_ word: UInt32) -> UInt32 { word & 0xff00_0000 | word << 16 & 0xff_0000 | word >> 8 & 0xffff }
        // At degree 2 all tiles of whole sixteens: kernels reckon where a feature stands.
        let size = FeatureBlocks.size
        let tiled = degree == 2 ? Self.monomials(degree: 2, width: (width + size - 1) / size * size) : monomials
        let tiles = Set(tiled.map { Self.tile(of: $0).word }).sorted { order($0) < order($1) }
        let tileBlocks = degree > 1 ? MonomialFactors.firstCount : 1
        blocks = tiles.flatMap { word in (0..<tileBlocks).map { word + UInt32($0) } }
        starts = Dictionary(
            uniqueKeysWithValues: tiles.enumerated().map { ($0.element, $0.offset * tileBlocks * FeatureBlocks.size) })
    }

    /// The place of the monomial of these indices, none smaller than the one before.
    func place(of indices: [Int]) -> Int {
        let (word, place) = Self.tile(of: indices)
        guard let start = starts[word] else { preconditionFailure("no tile of \(indices)") }
        return start + place
    }

    /// The tile of a monomial and its place in it.
    private static func tile(of indices: [Int]) -> (word: UInt32, place: Int) {
        guard indices.count > 1 else {
            return (FeatureBlocks.word(prefix: [], last: indices[0] / FeatureBlocks.size), indices[0] % FeatureBlocks.size)
        }
        let factors = MonomialFactors(indices)
        let (first, last) = (factors.first, factors.last)
        let neighbour = first % MonomialFactors.firstCount
        let prefix = [first - neighbour] + factors.others
        let word = FeatureBlocks.word(prefix: prefix, last: last / FeatureBlocks.size)
        return (word, neighbour * FeatureBlocks.size + last % FeatureBlocks.size)
    }

    private static func monomials(degree: Int, width: Int) -> [[Int]] {
        guard degree > 1 else { return (0..<width).map { [$0] } }
        return monomials(degree: degree - 1, width: width).flatMap { indices in
            (indices[degree - 2]..<width).map { indices + [$0] }
        }
    }
}
