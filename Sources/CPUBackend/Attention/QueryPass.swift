import BackendInterface
import CKernels
import Tensors

/// The forward pass of 64 queries of one head: the state before the chunk, then the chunk's own keys, under one normalizer.
struct QueryPass: @unchecked Sendable {
    let operands: AttentionOperands
    /// Output `[tokens, hq, e]` and one number a row `[tokens, hq]`: the reciprocal of the normalizer, or the log of the sum of
    /// exponentials.
    let output, statistics: UnsafeMutablePointer<Float>

    private var problem: AttentionProblem { operands.problem }
    private static let lanes = AttentionOperands.lanes
    /// Features expanded at a time: with 64 tokens, a tile of 32 KiB.
    static let featureBlocks = 4

    func run(_ item: ChunkItem, head: Int, block: Int, state: StateBuffer?) {
        let lanes = Self.lanes
        let (d, e) = (problem.keyWidth, problem.valueWidth)
        let tokens = item.block(block)
        let keyHead = head / problem.group
        let paddedWidth = operands.features?.paddedWidth ?? d
        let featureCount = FeatureTable.block * Self.featureBlocks
        var workspace = Workspace(
            floats: lanes * (paddedWidth + e + featureCount + 2 * lanes + 8), pieces: 16)
        let factors = workspace.take(lanes)
        let queries = workspace.takeZeros(paddedWidth * lanes)
        let answer = workspace.takeZeros(e * lanes)
        let normalizer = workspace.takeZeros(lanes)
        operands.rowScales(token: tokens.lowerBound, head: head, rows: tokens.count, into: factors)
        transpose_tokens(
            operands.query(token: tokens.lowerBound, head: head), operands.queryStride, tokens.count, d, factors, queries,
            lanes,
            lanes)

        if let features = operands.features {
            if let state {
                let phi = workspace.take(featureCount * lanes)
                if features.power.degree == 4 {
                    readStateInDouble(
                        state, features: features, sequence: item.sequence, head: keyHead, rows: tokens.count,
                        queries: queries, answer: answer, normalizer: normalizer)
                } else if tokens.count <= Self.fewTokens {
                    readStateByRows(
                        state, features: features, sequence: item.sequence, head: keyHead, rows: tokens.count,
                        queries: queries, answer: answer, normalizer: normalizer)
                } else {
                    readState(
                        state, features: features, sequence: item.sequence, head: keyHead, queries: queries, phi: phi,
                        answer: answer, normalizer: normalizer)
                }
                let decay = workspace.takeZeros(lanes)
                operands.chunkDecay(
                    toEnd: false, tokens: tokens, head: keyHead, chunkEnd: item.tokens.upperBound,
                    factor: operands.scales.carry(sequence: item.sequence, head: keyHead, chunk: item.chunk), into: decay)
                scale_lanes(answer, decay, e)
                scale_lanes(normalizer, decay, 1)
            }
            let keyScale = operands.scales.keyScale(sequence: item.sequence, head: keyHead, chunk: item.chunk)
            if keyScale != 1 { scale_elements(queries, keyScale, d * lanes) }
            attendPower(
                item, tokens: tokens, keyHead: keyHead, queries: queries, answer: answer, normalizer: normalizer,
                workspace: &workspace)
            finishPower(item, tokens: tokens, head: head, answer: answer, normalizer: normalizer)
        } else {
            attendExponential(
                item, tokens: tokens, head: head, queries: queries, answer: answer, sum: normalizer, workspace: &workspace)
        }
    }

    /// Up to as many queries, as in decoding, read the state one by one: 64 lanes would be mostly empty.
    private static let fewTokens = 8

    private func readStateByRows(
        _ state: StateBuffer, features: FeatureTable, sequence: Int, head: Int, rows: Int,
        queries: UnsafeMutablePointer<Float>, answer: UnsafeMutablePointer<Float>, normalizer: UnsafeMutablePointer<Float>
    ) {
        let (lanes, e, padded) = (Self.lanes, problem.valueWidth, features.paddedWidth)
        let (S, z) = (state.matrix(sequence: sequence, head: head), state.normalizer(sequence: sequence, head: head))
        var workspace = Workspace(floats: padded + e, pieces: 2)
        let (query, row) = (workspace.take(padded), workspace.take(e))
        for lane in 0..<rows {
            for i in 0..<padded { query[i] = queries[i * lanes + lane] }
            row.update(repeating: 0, count: e)
            var sum = 0.0
            recurrent_answer(
                features.runs, features.runCount, Int32(features.power.degree), e, query, S, z, row, &sum)
            normalizer[lane] += Float(sum)
            for i in 0..<e { answer[i * lanes + lane] = row[i] }
        }
    }

    /// At degree 4 the features of a query and a state of few keys cancel to a thousandth and less of their size: a sum in float32
    /// keeps too few digits for the normalizer of such a row.
    private func readStateInDouble(
        _ state: StateBuffer, features: FeatureTable, sequence: Int, head: Int, rows: Int,
        queries: UnsafeMutablePointer<Float>, answer: UnsafeMutablePointer<Float>, normalizer: UnsafeMutablePointer<Float>
    ) {
        let (lanes, e) = (Self.lanes, problem.valueWidth)
        withUnsafeTemporaryAllocation(of: Double.self, capacity: (e + 1) * lanes) { memory in
            memory.initialize(repeating: 0)
            guard let sums = memory.baseAddress else { return }
            read_state_double(
                features.runs, features.runCount, Int32(features.power.degree), e, queries, (rows + 7) / 8 * 8,
                state.matrix(sequence: sequence, head: head), state.normalizer(sequence: sequence, head: head), sums,
                sums + e * lanes)
            for index in 0..<e * lanes { answer[index] += Float(sums[index]) }
            for lane in 0..<lanes { normalizer[lane] += Float(sums[e * lanes + lane]) }
        }
    }

    /// The reading of the state alone, for benchmarks.
    func readState(_ item: ChunkItem, head: Int, block: Int, state: StateBuffer, features: FeatureTable) {
        let lanes = Self.lanes
        let tokens = item.block(block)
        let featureCount = FeatureTable.block * Self.featureBlocks
        var workspace = Workspace(
            floats: lanes * (features.paddedWidth + problem.valueWidth + featureCount + 2), pieces: 5)
        let factors = workspace.take(lanes)
        let queries = workspace.takeZeros(features.paddedWidth * lanes)
        let answer = workspace.takeZeros(problem.valueWidth * lanes)
        let normalizer = workspace.takeZeros(lanes)
        operands.rowScales(token: tokens.lowerBound, head: head, rows: tokens.count, into: factors)
        transpose_tokens(
            operands.query(token: tokens.lowerBound, head: head), operands.queryStride, tokens.count, problem.keyWidth, factors,
            queries, lanes, lanes)
        readState(
            state, features: features, sequence: item.sequence, head: head / problem.group, queries: queries,
            phi: workspace.take(featureCount * lanes), answer: answer, normalizer: normalizer)
    }

    /// `answer += φ(q)ᵀS`, `normalizer += φ(q)ᵀz`.
    private func readState(
        _ state: StateBuffer, features: FeatureTable, sequence: Int, head: Int, queries: UnsafeMutablePointer<Float>,
        phi: UnsafeMutablePointer<Float>, answer: UnsafeMutablePointer<Float>, normalizer: UnsafeMutablePointer<Float>
    ) {
        let (lanes, e) = (Self.lanes, problem.valueWidth)
        let (S, z) = (state.matrix(sequence: sequence, head: head), state.normalizer(sequence: sequence, head: head))
        withUnsafeTemporaryAllocation(of: Double.self, capacity: lanes) { sums in
            sums.initialize(repeating: 0)
            guard let sum = sums.baseAddress else { return }
            for block in stride(from: 0, to: features.blockCount, by: Self.featureBlocks) {
                let first = block * FeatureTable.block
                let count = min(FeatureTable.block * Self.featureBlocks, features.dimension - first)
                expand_features(
                    features.runs, features.position(ofBlock: block), count, Int32(features.power.degree), queries, lanes,
                    lanes,
                    1, phi, lanes)
                operands.tile(e, lanes, count, S + first * e, 1, e, phi, lanes, answer, lanes, 1)
                combine_rows(phi, z + first, count, sum)
            }
            for lane in 0..<lanes { normalizer[lane] += Float(sum[lane]) }
        }
    }

    /// The keys of the chunk up to the queries, in blocks of 64.
    private func attendPower(
        _ item: ChunkItem, tokens: Range<Int>, keyHead: Int, queries: UnsafeMutablePointer<Float>,
        answer: UnsafeMutablePointer<Float>, normalizer: UnsafeMutablePointer<Float>, workspace: inout Workspace
    ) {
        let (lanes, d, e) = (Self.lanes, problem.keyWidth, problem.valueWidth)
        let degree = Int32(problem.degree ?? 1)
        let scores = workspace.take(lanes * lanes)
        var decay = BlockDecay(operands, queries: tokens, head: keyHead, workspace: &workspace)
        for start in stride(from: item.tokens.lowerBound, through: tokens.lowerBound, by: lanes) {
            let keys = start..<min(start + lanes, item.tokens.upperBound)
            operands.tile(
                keys.count, lanes, d, operands.key(token: start, head: keyHead), operands.keyStride, 1, queries, lanes, scores,
                lanes, 0)
            decay.prepare(keys: keys)
            power_weights(degree, keys.count, scores, decay.tile, decay.keys, decay.queries, normalizer)
            operands.tile(
                e, lanes, keys.count, operands.value(token: start, head: keyHead), 1, operands.valueStride, scores, lanes,
                answer,
                lanes, 1)
        }
    }

    private func finishPower(
        _ item: ChunkItem, tokens: Range<Int>, head: Int, answer: UnsafeMutablePointer<Float>,
        normalizer: UnsafeMutablePointer<Float>
    ) {
        let exponent = operands.scales.keyExponent(
            sequence: item.sequence, head: head / problem.group, chunk: item.chunk)
        withUnsafeTemporaryAllocation(of: Double.self, capacity: Self.lanes) { factors in
            for lane in 0..<tokens.count {
                let token = tokens.lowerBound + lane
                switch problem.normalization {
                case .sum:
                    // A row whose weights are all zero answers 0, and its gradients are 0.
                    factors[lane] = normalizer[lane] == 0 ? 0 : 1 / Double(normalizer[lane])
                    statistics[token * problem.queryHeads + head] = Float(factors[lane])
                case .none:
                    factors[lane] = operands.rawFactor(token: token, head: head, keyExponent: exponent)
                    statistics[token * problem.queryHeads + head] = 1
                }
            }
            guard let base = factors.baseAddress else { return }
            store_tokens(
                answer, problem.valueWidth, tokens.count, base,
                output + tokens.lowerBound * operands.outputStride + head * problem.valueWidth, operands.outputStride, 0)
        }
    }

    /// Streaming softmax over the keys that the window leaves visible.
    private func attendExponential(
        _ item: ChunkItem, tokens: Range<Int>, head: Int, queries: UnsafeMutablePointer<Float>,
        answer: UnsafeMutablePointer<Float>, sum: UnsafeMutablePointer<Float>, workspace: inout Workspace
    ) {
        let (lanes, d, e) = (Self.lanes, problem.keyWidth, problem.valueWidth)
        let keyHead = head / problem.group
        let scores = workspace.take(lanes * lanes)
        let maximum = workspace.take(lanes)
        let shrink = workspace.take(lanes)
        maximum.update(repeating: -.infinity, count: lanes)
        for start in operands.visibleBlocks(item, queries: tokens) {
            let keys = start..<min(start + lanes, item.tokens.upperBound)
            operands.tile(
                keys.count, lanes, d, operands.key(token: start, head: keyHead), operands.keyStride, 1, queries, lanes, scores,
                lanes, 0)
            var mask = operands.mask(keys: keys, queries: tokens, head: keyHead)
            exponential_weights(keys.count, tokens.count, scores, Float(problem.scale), &mask, maximum, sum, shrink)
            scale_lanes(answer, shrink, e)
            operands.tile(
                e, lanes, keys.count, operands.value(token: start, head: keyHead), 1, operands.valueStride, scores, lanes,
                answer,
                lanes, 1)
        }
        withUnsafeTemporaryAllocation(of: Double.self, capacity: lanes) { factors in
            for lane in 0..<tokens.count {
                factors[lane] = 1 / Double(sum[lane])
                statistics[(tokens.lowerBound + lane) * problem.queryHeads + head] = maximum[lane] + logarithm(sum[lane])
            }
            guard let base = factors.baseAddress else { return }
            store_tokens(
                answer, e, tokens.count, base, output + tokens.lowerBound * operands.outputStride + head * e,
                operands.outputStride, 0)
        }
    }
}
