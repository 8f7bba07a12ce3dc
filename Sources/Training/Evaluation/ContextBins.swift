#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Ranges of positions in a context, evenly spaced in the logarithm of the position: what an in-context curve is plotted over.
///
/// Position i has i tokens before it. With n bins a doubling, the upper bounds are `context^(j/m)` for `j = 0…m`, rounded, where
/// m is n times the number of doublings, rounded up; bounds that coincide are merged. The first bin is position 0 alone.
public struct ContextBins: Sendable, Hashable {
    public let ranges: [Range<Int>]

    /// - Precondition: `context` and `binsPerDoubling` are positive.
    public init(context: Int, binsPerDoubling: Int = 4) {
        precondition(context > 0 && binsPerDoubling > 0)
        let doublings = log2(Double(context))
        let count = max(1, Int((Double(binsPerDoubling) * doublings).rounded(.up)))
        var bounds = [0, 1]
        for index in 1...count {
            let bound = index == count ? context : Int(exp2(doublings * Double(index) / Double(count)).rounded())
            if let last = bounds.last, bound > last { bounds.append(bound) }
        }
        ranges = zip(bounds, bounds.dropFirst()).map { $0..<$1 }
    }

    public var context: Int { ranges.last?.upperBound ?? 0 }
}
