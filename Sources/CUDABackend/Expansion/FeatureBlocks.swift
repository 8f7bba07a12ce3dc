package import BackendInterface

/// The features of the symmetric power as the kernels take them: blocks of 16 that share their first p − 1 factors.
///
/// A run of ``SymmetricPower`` becomes the blocks of 16 last factors that cover it, aligned to 16. Features that the alignment adds
/// have coefficient zero: they are computed, and count for nothing. Blocks are sorted by their last factors, so that a warp loads
/// those once for all prefixes.
package struct FeatureBlocks: Sendable {
    /// One word a block: the indices of the prefix in bytes 0…2, the last factors divided by 16 in byte 3.
    package let blocks: [UInt32]
    /// The multinomial coefficient of every feature, 16 a block; zero where the feature counts for nothing.
    package let coefficients: [Float]
    /// For every feature of a block, its index in the state outside, or −1.
    package let external: [Int32]
    /// At degree 2, for every feature of a block, the index in the state outside of the same product with its factors exchanged, or −1.
    package let exchanged: [Int32]
    /// For every feature of the state outside, its place in the blocks, or −1 where it is always zero.
    package let `internal`: [Int32]

    package static let size = 16

    package init(_ power: SymmetricPower) {
        struct Entry {
            var word: UInt32
            var coefficients: [Float]
            var external: [Int32]
        }
        var entries: [Entry] = []
        var base = 0
        for run in power.runs() {
            defer { base += Int(run.length) }
            let prefix = [run.first, run.second, run.third].prefix(power.degree - 1).map(Int.init)
            guard prefix.allSatisfy({ $0 < power.width }), Int(run.start) < power.width else { continue }
            let word = prefix.enumerated().reduce(UInt32(0)) { $0 | UInt32($1.element) << (8 * $1.offset) }
            for last in Int(run.start) / Self.size...(power.width - 1) / Self.size {
                var entry = Entry(
                    word: word | UInt32(last) << 24, coefficients: .init(repeating: 0, count: Self.size),
                    external: .init(repeating: -1, count: Self.size))
                for n in 0..<Self.size {
                    let place = last * Self.size + n - Int(run.start)
                    guard place >= 0, last * Self.size + n < power.width else { continue }
                    entry.coefficients[n] = Float(place < run.headLength ? run.headCoefficient : run.tailCoefficient)
                    entry.external[n] = Int32(base + place)
                }
                entries.append(entry)
            }
        }
        // At degree 2 the prefixes that share their last factors count up from zero: they become whole eights, so that a warpgroup
        // loads the last factors of 128 features, and a lane several prefixes, at once. What that adds counts for nothing.
        if power.degree == 2 {
            for (last, group) in Dictionary(grouping: entries, by: { $0.word >> 24 }) {
                for prefix in group.count..<(group.count + 7) / 8 * 8 {
                    entries.append(
                        Entry(
                            word: UInt32(prefix) | last << 24, coefficients: .init(repeating: 0, count: Self.size),
                            external: .init(repeating: -1, count: Self.size)))
                }
            }
        }
        // By last factors, then by the prefix of degree 2, else as the runs come.
        let order = entries.indices.sorted {
            let (a, b) = (entries[$0].word, entries[$1].word)
            return (a >> 24, power.degree == 2 ? Int(a & 0xff) : $0) < (b >> 24, power.degree == 2 ? Int(b & 0xff) : $1)
        }
        blocks = order.map { entries[$0].word }
        coefficients = order.flatMap { entries[$0].coefficients }
        external = order.flatMap { entries[$0].external }
        var inverse = [Int32](repeating: -1, count: power.dimension)
        for (place, feature) in external.enumerated() where feature >= 0 { inverse[Int(feature)] = Int32(place) }
        self.internal = inverse
        guard power.degree == 2 else {
            exchanged = [Int32](repeating: -1, count: external.count)
            return
        }
        // By the first factor and the last.
        func pair(_ place: Int) -> SIMD2<UInt32> {
            let word = order[place / Self.size]
            return SIMD2(entries[word].word & 0xff, (entries[word].word >> 24) * UInt32(Self.size) + UInt32(place % Self.size))
        }
        var indices: [SIMD2<UInt32>: Int32] = [:]
        for (place, feature) in external.enumerated() where feature >= 0 { indices[pair(place)] = feature }
        exchanged = external.indices.map { place in
            let factors = pair(place)
            return indices[SIMD2(factors.y, factors.x)] ?? -1
        }
    }

    /// The indices of the factors of every feature of the state outside: the prefix in bytes 0…2, the last factor in byte 3; all ones
    /// where the feature is always zero.
    package var factors: [UInt32] {
        `internal`.map { place in
            guard place >= 0 else { return .max }
            let word = blocks[Int(place) / Self.size]
            return word & 0xff_ffff | ((word >> 24) * UInt32(Self.size) + UInt32(Int(place) % Self.size)) << 24
        }
    }

    /// The number of features, those that count for nothing included.
    package var count: Int { blocks.count * Self.size }

    /// The number of features at degree 2 in tiles of 16 at most: for every 16 last factors the prefixes up to them, in whole eights.
    package static func count(ofDegreeTwo width: Int) -> Int {
        stride(from: size, to: width + size, by: size).reduce(0) { $0 + size * ((min($1, width) + 7) / 8 * 8) }
    }
}
