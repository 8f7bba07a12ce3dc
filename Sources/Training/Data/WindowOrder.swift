package import Tensors

/// Which window of the training text is the n-th one to be read: a function of the seed and of n, and of nothing else.
///
/// The text is a ring that is cut into windows of `context` tokens. In every epoch each window comes once, in an order of its
/// own. The first epoch cuts at token 0, so that no document is cut across where the lengths of all are multiples of the
/// context; later epochs cut at a random token.
///
/// The order is a permutation that needs no memory and no state: four rounds of a Feistel network on the bits of n, repeated
/// until the number is one of the windows (Black, Rogaway 2002, "cycle walking").
package struct WindowOrder: Sendable {
    package let tokenCount: Int
    package let context: Int
    package let seed: UInt64

    /// - Throws: `invalidArgument` where the text is shorter than one window and the target of its last token.
    package init(tokenCount: Int, context: Int, seed: UInt64) throws(PowerAttentionError) {
        guard context >= 1, tokenCount > context else {
            throw PowerAttentionError(
                argument: "training.context", given: "\(context)",
                expected: "less than the \(tokenCount) tokens of the training data")
        }
        self.tokenCount = tokenCount
        self.context = context
        self.seed = seed
    }

    package var windowsPerEpoch: Int { tokenCount / context }

    /// The first token of window `index`, counted from the beginning of the run. Its tokens follow on the ring.
    package func start(of index: Int) -> Int {
        let epoch = index / windowsPerEpoch
        let key = Self.mix(seed ^ Self.mix(UInt64(epoch)))
        let cut = epoch == 0 ? 0 : Int(key % UInt64(tokenCount))
        return (cut + permuted(index % windowsPerEpoch, key: key) * context) % tokenCount
    }

    private func permuted(_ index: Int, key: UInt64) -> Int {
        let bits = max(2, Int.bitWidth - (windowsPerEpoch - 1).leadingZeroBitCount)
        let half = (bits + 1) / 2
        let mask = (UInt64(1) << half) - 1
        var value = UInt64(index)
        repeat {
            var (left, right) = (value >> half, value & mask)
            for round in 0..<4 as Range<UInt64> {
                (left, right) = (right, left ^ Self.mix(key &+ right &+ round << 48) & mask)
            }
            value = left << half | right
        } while value >= UInt64(windowsPerEpoch)
        return Int(value)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var generator = RandomGenerator(seed: value)
        return generator.next()
    }
}
