package import Tensors

/// Windows of text, `rows · length` tokens row by row, and the token that follows each: what one pass of the model reads.
package struct Batch: Sendable, Hashable {
    package var tokens: [Int32] = []
    package var targets: [Int32] = []
    package private(set) var rows = 0
    package let length: Int

    package init(length: Int) { self.length = length }

    /// Adds a window of `length` tokens and the one after them.
    package mutating func append(_ window: [Int32]) {
        precondition(window.count == length + 1)
        tokens.append(contentsOf: window.dropLast())
        targets.append(contentsOf: window.dropFirst())
        rows += 1
    }
}

/// The batches of a training run. That of step n depends on the seed, on n and on the text, and on nothing else: a resumed run
/// reads what an uninterrupted one would have.
package struct BatchSequence: Sendable {
    package let ring: TokenRing
    package let order: WindowOrder
    private let batchSize: Int
    private let partCount: Int

    package init(_ ring: TokenRing, _ configuration: TrainingConfiguration) throws(PowerAttentionError) {
        self.ring = ring
        order = try WindowOrder(
            tokenCount: ring.tokenCount, context: configuration.context, seed: UInt64(configuration.seed))
        batchSize = configuration.batchSize
        partCount = configuration.accumulation
    }

    /// Part `part` of the batch of `step`; the first step is 1.
    package func batch(step: Int, part: Int) throws(PowerAttentionError) -> Batch {
        let rows = batchSize / partCount
        var batch = Batch(length: order.context)
        for row in 0..<rows {
            let start = order.start(of: (step - 1) * batchSize + part * rows + row)
            batch.append(try ring.tokens(from: start, count: order.context + 1))
        }
        return batch
    }
}
