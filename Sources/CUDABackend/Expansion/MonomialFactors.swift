/// Which of the factors of a monomial is which in ``FeatureBlocks``: the last one is among 16 neighbours, the first among four, the others
/// stand alone.
///
/// A tile of 64 features is all products of four first and 16 last factors with the same others, and a monomial is in a tile for every
/// choice of its last and first factor. Few tiles hold all monomials where the choice leaves factors together that other monomials leave
/// together too: a set of (p − 1)-tuples one of which is in every p-tuple, which for p = 3 and 4 is Turán's problem. His solutions cut
/// the indices into p − 1 parts in a circle, and take the tuples that lie in one part, or in one but for a factor in the next.
struct MonomialFactors {
    let first: Int
    /// p − 2 indices that do not fall.
    let others: [Int]
    let last: Int

    /// The number of first factors of a tile, and of last ones.
    static let firstCount = 4, lastCount = 16

    /// - Parameter indices: those of the p ≥ 2 factors, none smaller than the one before.
    init(_ indices: [Int]) {
        var rest = indices
        last = rest.remove(at: Self.lastPlace(indices))
        // Two that are neighbours stay together.
        let isNarrow = rest.first.map { $0 / Self.firstCount } == rest.last.map { $0 / Self.firstCount }
        let counts = Self.companions(rest, of: isNarrow ? Self.firstCount / 2 : Self.firstCount)
        first = rest.remove(at: counts.indices.min { counts[$0] < counts[$1] } ?? 0)
        others = rest
    }

    private static func lastPlace(_ indices: [Int]) -> Int {
        let end = indices.count - 1
        guard indices[0] / lastCount == indices[end] / lastCount else {
            // A factor of the 16 that hold the fewest; those of the others come with all of the 16.
            let counts = companions(indices, of: lastCount)
            return counts.indices.reversed().min { counts[$0] < counts[$1] } ?? end
        }
        // Of 16 the parts in a circle are all, two eights, or four, four and eight.
        let partCount = max(indices.count - 1, 1)
        let parts = indices.map {
            partCount - 1 - (lastCount - 1 - $0 % lastCount) / firstCount * partCount / (lastCount / firstCount)
        }
        func count(_ part: Int) -> Int { parts.count { $0 == part % partCount } }
        // What stays lies in one part, or in it but for a factor in the next.
        let main =
            (0..<partCount).first { 2 * count($0) >= indices.count && count($0) + count($0 + 1) >= indices.count - 1 } ?? 0
        let part = (0..<partCount).reversed().map { (main + $0) % partCount }.first { count($0) > 0 } ?? main
        return parts.lastIndex(of: part) ?? end
    }

    /// For every index, how many are in the same `size` as it.
    private static func companions(_ indices: [Int], of size: Int) -> [Int] {
        indices.map { index in indices.count { $0 / size == index / size } }
    }
}
