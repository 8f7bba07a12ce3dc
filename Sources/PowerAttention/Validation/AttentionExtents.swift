import Tensors

/// The extents of one call, read from the shapes of its tensors.
struct AttentionExtents {
    var batch, length, queryHeads, keyHeads, keyWidth, valueWidth: Int

    /// What tensors without elements can claim: their products are counted, and lists of sequences and heads made of them.
    private static let (batchLimit, lengthLimit, headLimit) = (1 << 24, 1 << 38, 1 << 16)
    /// States and gates are kept by sequence and head, even where there are no tokens.
    static let pairLimit = 1 << 24

    /// Throws unless widths are 1…256 and the query heads a multiple of the key heads, or where a number is out of all reason.
    func validate() throws(PowerAttentionError) {
        try checkRange(batch, "q", "b", 0...Self.batchLimit)
        try checkRange(length, "q", "t", 0...Self.lengthLimit)
        try checkRange(queryHeads, "q", "hq", 0...Self.headLimit)
        try checkRange(keyWidth, "q", "d", 1...256)
        try checkRange(valueWidth, "v", "e", 1...256)
        try checkRange(keyHeads, "k", "h", 1...Int.max)
        guard queryHeads > 0 && queryHeads.isMultiple(of: keyHeads) else {
            throw PowerAttentionError(
                argument: "q", given: "\(queryHeads) query heads for \(keyHeads) key heads",
                expected: "a positive multiple of the key heads")
        }
    }
}

private func checkRange(
    _ value: Int, _ argument: String, _ extent: String, _ range: ClosedRange<Int>
) throws(PowerAttentionError) {
    guard range.contains(value) else {
        let upper = range.upperBound == .max ? "at least \(range.lowerBound)" : "\(range.lowerBound)…\(range.upperBound)"
        throw PowerAttentionError(argument: argument, given: "\(extent) = \(value)", expected: upper)
    }
}
