import Tensors

/// The extents of one call, read from the shapes of its tensors.
struct AttentionExtents {
    var batch, length, queryHeads, keyHeads, keyWidth, valueWidth: Int

    /// Throws unless widths are 1…256 and the query heads a multiple of the key heads.
    func validate() throws(PowerAttentionError) {
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
