/// The symmetric power φ of degree p of a vector of width d, cut into tiles of τ entries (paper, section 3):
/// `φ(x)·φ(y) = (x·y)^p`.
///
/// The entries of `x` are grouped into ⌈d/τ⌉ tiles. φ has τ^p entries for every non-decreasing tuple of p tiles, each a product
/// of p entries of `x`. τ = 1 is the symmetric power, τ = d the full tensor power:
///
///     D = C(⌈d/τ⌉ + p − 1, p) · τ^p
///
/// The multinomial coefficient of the tuple of tiles, `p! / Π m_i!`, stands on the side of the query, so that
/// `Σ_f coefficient_f · φ(q)_f · φ(k)_f = (q·k)^p` without square roots.
public struct SymmetricPower: Sendable, Hashable {
    public let degree: Int
    public let width: Int
    public let tile: Int

    /// - Precondition: degree 1…4, width 1…256, tile 1…width.
    public init(degree: Int, width: Int, tile: Int = 1) {
        precondition((1...4).contains(degree) && (1...256).contains(width) && (1...width).contains(tile))
        self.degree = degree
        self.width = width
        self.tile = tile
    }

    /// ⌈d/τ⌉.
    public var tileCount: Int { (width + tile - 1) / tile }

    /// D, the number of entries of φ.
    public var dimension: Int {
        var tuples = 1
        for i in 1...degree { tuples = tuples * (tileCount + i - 1) / i }
        return (0..<degree).reduce(tuples) { product, _ in product * tile }
    }

    /// The features that share their first p − 1 factors: `x[first] · x[second] · x[third] · x[start + n]` for `n` in
    /// `0 ..< length`, those below `degree` in use. Runs follow one another in the order of the features.
    package struct Run: Sendable, BitwiseCopyable {
        package var first: UInt16 = 0
        package var second: UInt16 = 0
        package var third: UInt16 = 0
        /// The index of the first last factor.
        package var start: UInt16 = 0
        package var length: UInt16 = 0
        /// The number of features, from the first, that have `headCoefficient`; the others have `tailCoefficient`.
        package var headLength: UInt16 = 0
        package var headCoefficient: UInt16 = 1
        package var tailCoefficient: UInt16 = 1
    }

    /// All runs, in order. Indices from `width` up to `tileCount · tile` stand for zeros.
    package func runs() -> [Run] {
        let padded = tileCount * tile
        var runs: [Run] = []
        var prefix: [Int] = []
        func descend() {
            if prefix.count == degree - 1 {
                let firstTile = prefix.last.map { $0 / tile } ?? 0
                var run = Run()
                if prefix.count > 0 { run.first = UInt16(prefix[0]) }
                if prefix.count > 1 { run.second = UInt16(prefix[1]) }
                if prefix.count > 2 { run.third = UInt16(prefix[2]) }
                run.start = UInt16(firstTile * tile)
                run.length = UInt16(padded - firstTile * tile)
                run.headLength = UInt16(tile)
                let tiles = prefix.map { $0 / tile }
                run.headCoefficient = UInt16(Self.multinomial(tiles + [firstTile]))
                run.tailCoefficient = UInt16(Self.multinomial(tiles + [Int.max]))
                runs.append(run)
                return
            }
            let firstTile = prefix.last.map { $0 / tile } ?? 0
            for index in firstTile * tile..<padded {
                prefix.append(index)
                descend()
                prefix.removeLast()
            }
        }
        descend()
        return runs
    }

    /// `n! / Π m_i!` for a non-decreasing tuple with multiplicities `m_i`: the number of its distinct orders.
    package static func multinomial(_ tuple: [Int]) -> Int {
        var orders = 1
        var repetitions = 0
        for index in tuple.indices {
            repetitions = index > 0 && tuple[index] == tuple[index - 1] ? repetitions + 1 : 1
            orders = orders * (index + 1) / repetitions
        }
        return orders
    }
}
