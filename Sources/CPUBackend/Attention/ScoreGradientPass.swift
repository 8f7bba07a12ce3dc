import BackendInterface
import CKernels
import Tensors

/// The backward pass of the attention inside one chunk, for one key head and the query heads that read it: adds to dq, dk and dv.
struct ScoreGradientPass: @unchecked Sendable {
    let buffers: GradientBuffers

    private var operands: AttentionOperands { buffers.operands }
    private var problem: AttentionProblem { buffers.operands.problem }
    private static let lanes = AttentionOperands.lanes

    /// Runs over all chunks and key heads. Where those are too few for the cores, as with one long sequence in the attention form,
    /// the queries of a chunk are dealt to four parts with sums of their own for dk and dv, added up in a fixed order: the bits
    /// depend neither on the number of cores nor on their timing.
    static func run(_ items: [ChunkItem], _ buffers: GradientBuffers) {
        let problem = buffers.operands.problem
        let blocks = items.map(\.blockCount).max() ?? 0
        guard items.count * problem.keyHeads < splitParts, blocks >= 2 * splitParts else {
            let pass = ScoreGradientPass(buffers: buffers)
            WorkList(items, heads: problem.keyHeads, parts: { _ in 1 }).run { item, head, _ in
                pass.run(item, keyHead: head, part: 0, parts: 1)
            }
            return
        }
        let counts = [problem.keyWidth, problem.valueWidth, 1].map { $0 * problem.tokenCount * problem.keyHeads }
        let size = counts.reduce(0, +)
        var memory = Tensor([splitParts, size], .float32)
        let partial = Shared(memory.mutablePointer(to: Float.self))
        WorkList(items, heads: problem.keyHeads, parts: { _ in splitParts }).run { item, head, part in
            var own = buffers
            own.k = partial.pointer + part * size
            own.v = own.k + counts[0]
            own.keySums = own.v + counts[1]
            ScoreGradientPass(buffers: own).run(item, keyHead: head, part: part, parts: splitParts)
        }
        var source = partial.pointer
        for (target, count) in zip([buffers.k, buffers.v, buffers.keySums], counts) {
            add_partial_sums(DataType.float32.kernelCode, source, splitParts, size, target, count)
            source += count
        }
        withExtendedLifetime(memory) {}
    }

    private static let splitParts = 4

    private func run(_ item: ChunkItem, keyHead: Int, part: Int, parts: Int) {
        let lanes = Self.lanes
        for head in keyHead * problem.group..<(keyHead + 1) * problem.group {
            for block in stride(from: part, to: item.blockCount, by: parts) {
                let (d, e) = (operands.paddedKeyWidth, operands.paddedValueWidth)
                var workspace = Workspace(floats: lanes * (3 * d + 2 * e + 3 * lanes + 12), pieces: 24)
                run(item, tokens: item.block(block), head: head, keyHead: keyHead, workspace: &workspace)
            }
        }
    }

    private func run(_ item: ChunkItem, tokens: Range<Int>, head: Int, keyHead: Int, workspace: inout Workspace) {
        let (lanes, d, e) = (Self.lanes, problem.keyWidth, problem.valueWidth)
        let (paddedD, paddedE) = (operands.paddedKeyWidth, operands.paddedValueWidth)
        let query = operands.query(token: tokens.lowerBound, head: head)
        let factors = workspace.take(lanes)
        operands.rowScales(token: tokens.lowerBound, head: head, rows: tokens.count, into: factors)
        let queries = workspace.take(d * lanes)
        let queryRows = workspace.take(paddedD * lanes)
        transpose_tokens(query, operands.queryStride, tokens.count, d, factors, queries, lanes, lanes)
        scale_tokens(query, operands.queryStride, tokens.count, d, factors, queryRows, paddedD)
        // Not in one product with the rows' scales, which can leave the range of float32.
        let keyScale =
            problem.degree == nil ? 1 : operands.scales.keyScale(sequence: item.sequence, head: keyHead, chunk: item.chunk)
        if keyScale != 1 {
            scale_elements(queries, keyScale, d * lanes)
            scale_elements(queryRows, keyScale, paddedD * tokens.count)
        }

        let outputFactor = workspace.take(lanes)
        buffers.gather(
            buffers.outputFactor, token: tokens.lowerBound, head: head, rows: tokens.count, into: outputFactor)
        let gradientSource = buffers.outputGradient(token: tokens.lowerBound, head: head)
        let gradients = workspace.take(e * lanes)
        let gradientRows = workspace.take(paddedE * lanes)
        transpose_tokens(gradientSource, operands.outputStride, tokens.count, e, outputFactor, gradients, lanes, lanes)
        scale_tokens(gradientSource, operands.outputStride, tokens.count, e, outputFactor, gradientRows, paddedE)
        let offset = workspace.take(lanes)
        buffers.gather(buffers.offset, token: tokens.lowerBound, head: head, rows: tokens.count, into: offset)
        let logSum = workspace.take(lanes)
        buffers.gather(buffers.logSum, token: tokens.lowerBound, head: head, rows: tokens.count, into: logSum)

        let queryGradient = workspace.takeZeros(d * lanes)
        let scores = workspace.take(lanes * lanes)
        let slopes = workspace.take(lanes * lanes)
        var decay = problem.degree.map { _ in
            BlockDecay(operands, queries: tokens, head: keyHead, workspace: &workspace)
        }
        let keySums = workspace.take(lanes)
        for start in operands.visibleBlocks(item, queries: tokens) {
            let keys = start..<min(start + lanes, item.tokens.upperBound)
            let (key, value) = (operands.key(token: start, head: keyHead), operands.value(token: start, head: keyHead))
            operands.tile(keys.count, lanes, d, key, operands.keyStride, 1, queries, lanes, scores, lanes, 0)
            operands.tile(keys.count, lanes, e, value, operands.valueStride, 1, gradients, lanes, slopes, lanes, 0)
            if let degree = problem.degree {
                decay?.prepare(keys: keys)
                power_weights_backward(
                    Int32(degree), keys.count, scores, slopes, decay?.tile, decay?.keys, decay?.queries, offset)
                if problem.normalization == .sum && start == tokens.lowerBound {
                    // A normalized row of one weight does not depend on it. What rounding leaves of that would be divided by
                    // the score, which can be as small as it likes.
                    for lane in 0..<keys.count where operands.isAlone(token: start + lane, in: item, head: keyHead) {
                        slopes[lane * lanes + lane] = 0
                    }
                }
            } else {
                var mask = operands.mask(keys: keys, queries: tokens, head: keyHead)
                keySums.update(repeating: 0, count: lanes)
                exponential_weights_backward(
                    keys.count, tokens.count, scores, slopes, Float(problem.scale), &mask, logSum, offset, keySums)
                for row in 0..<keys.count { buffers.keySums[(start + row) * problem.keyHeads + keyHead] += keySums[row] }
            }
            operands.tile(
                keys.count, e, tokens.count, scores, lanes, 1, gradientRows, paddedE, buffers.v(token: start, head: keyHead),
                operands.valueStride, 1)
            operands.tile(
                keys.count, d, tokens.count, slopes, lanes, 1, queryRows, paddedD, buffers.k(token: start, head: keyHead),
                operands.keyStride, 1)
            operands.tile(d, lanes, keys.count, key, 1, operands.keyStride, slopes, lanes, queryGradient, lanes, 1)
        }
        buffers.add(
            queryGradient, width: d, rows: tokens.count, factor: factors, scale: keyScale,
            to: buffers.q(token: tokens.lowerBound, head: head),
            stride: operands.queryStride)
    }
}
