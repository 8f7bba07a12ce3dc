/// The extents of one call of the operator: `q [b, t, hq, d]`, `k [b, t, h, d]`, `v [b, t, h, e]`.
public struct AttentionShape: Sendable, Hashable {
    /// b, the number of sequences.
    public var batch: Int
    /// t, the number of tokens of a sequence.
    public var length: Int
    public var queryHeads: Int
    public var keyHeads: Int
    /// d, the width of queries and keys.
    public var keyWidth: Int
    /// e, the width of values and outputs.
    public var valueWidth: Int

    public init(batch: Int = 1, length: Int, heads: Int, keyHeads: Int? = nil, width: Int, valueWidth: Int? = nil) {
        self.batch = batch
        self.length = length
        queryHeads = heads
        self.keyHeads = keyHeads ?? heads
        keyWidth = width
        self.valueWidth = valueWidth ?? width
    }
}
