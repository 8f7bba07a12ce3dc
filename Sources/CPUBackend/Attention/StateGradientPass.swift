import BackendInterface
import CKernels
import Tensors

/// The backward pass through the state: of the queries that read it, and of the keys and values that built it.
struct StateGradientPass: @unchecked Sendable {
    let buffers: GradientBuffers
    let features: FeatureTable

    private var operands: AttentionOperands { buffers.operands }
    private var problem: AttentionProblem { buffers.operands.problem }
    private static let lanes = AttentionOperands.lanes
    private static let featureCount = FeatureTable.block * QueryPass.featureBlocks

    private var degree: Int32 { Int32(features.power.degree) }

    /// dq of 64 queries from the state before their chunk.
    func queries(_ item: ChunkItem, head: Int, block: Int, state: StateBuffer) {
        let (lanes, d, e) = (Self.lanes, problem.keyWidth, problem.valueWidth)
        let tokens = item.block(block)
        let keyHead = head / problem.group
        var workspace = Workspace(
            floats: lanes * (2 * features.paddedWidth + e + Self.featureCount + 8), pieces: 12)
        let factors = workspace.take(lanes)
        let columns = workspace.takeZeros(features.paddedWidth * lanes)
        operands.rowScales(token: tokens.lowerBound, head: head, rows: tokens.count, into: factors)
        transpose_tokens(
            operands.query(token: tokens.lowerBound, head: head), operands.queryStride, tokens.count, d, factors, columns,
            lanes,
            lanes)
        let (weights, offset) = (workspace.take(lanes), workspace.take(lanes))
        readWeights(item, tokens: tokens, head: head, weights: weights, offset: offset)
        let gradients = workspace.take(e * lanes)
        transpose_tokens(
            buffers.outputGradient(token: tokens.lowerBound, head: head), operands.outputStride, tokens.count, e, weights,
            gradients, lanes, lanes)
        let result = workspace.takeZeros(features.paddedWidth * lanes)
        if degree == 4 {
            contractInDouble(
                state, sequence: item.sequence, head: keyHead, gradients: gradients, weights: offset, columns: columns,
                rows: tokens.count, result: result)
        } else {
            contract(
                state, sequence: item.sequence, head: keyHead, gradients: gradients, weights: offset, columns: columns,
                weighted: true, slopes: workspace.take(Self.featureCount * lanes), result: result)
        }
        buffers.add(
            result, width: d, rows: tokens.count, factor: factors, to: buffers.q(token: tokens.lowerBound, head: head),
            stride: operands.queryStride)
    }

    /// dk and dv of 64 keys from the gradient of the state after their chunk.
    func keys(_ item: ChunkItem, head: Int, block: Int, gradient: StateBuffer) {
        let (lanes, d, e) = (Self.lanes, problem.keyWidth, problem.valueWidth)
        let tokens = item.block(block)
        var workspace = Workspace(
            floats: lanes * (2 * features.paddedWidth + 2 * e + Self.featureCount + 8), pieces: 12)
        let factors = workspace.take(lanes)
        factors.update(
            repeating: operands.scales.keyScale(sequence: item.sequence, head: head, chunk: item.chunk), count: lanes)
        let columns = workspace.takeZeros(features.paddedWidth * lanes)
        transpose_tokens(
            operands.key(token: tokens.lowerBound, head: head), operands.keyStride, tokens.count, d, factors, columns, lanes,
            lanes)
        let weights = workspace.takeZeros(lanes)
        operands.chunkDecay(
            toEnd: true, tokens: tokens, head: head, chunkEnd: item.tokens.upperBound, factor: 1, into: weights)
        let values = workspace.take(e * lanes)
        transpose_tokens(
            operands.value(token: tokens.lowerBound, head: head), operands.valueStride, tokens.count, e, weights, values, lanes,
            lanes)
        let keyResult = workspace.takeZeros(features.paddedWidth * lanes)
        let tile = workspace.take(Self.featureCount * lanes)
        contract(
            gradient, sequence: item.sequence, head: head, gradients: values, weights: weights, columns: columns,
            weighted: false, slopes: tile, result: keyResult)
        let valueResult = workspace.takeZeros(e * lanes)
        let S = gradient.matrix(sequence: item.sequence, head: head)
        forEachTile { block, first, count in
            expand_features(
                features.runs, features.position(ofBlock: block), count, degree, columns, lanes, lanes, 0, tile, lanes)
            operands.tile(e, lanes, count, S + first * e, 1, e, tile, lanes, valueResult, lanes, 1)
        }
        buffers.add(
            keyResult, width: d, rows: tokens.count, factor: factors, to: buffers.k(token: tokens.lowerBound, head: head),
            stride: operands.keyStride)
        buffers.add(
            valueResult, width: e, rows: tokens.count, factor: weights, to: buffers.v(token: tokens.lowerBound, head: head),
            stride: operands.valueStride)
    }

    /// The operand by which one head's queries build the gradient of the state before their chunk.
    func prepareQueries(_ item: ChunkItem, _ head: Int, _ operand: StateOperand) {
        let (d, count, ld) = (problem.keyWidth, item.tokens.count, operand.ld)
        let start = item.tokens.lowerBound
        var workspace = Workspace(floats: 2 * ld, pieces: 2)
        let factors = workspace.takeZeros(ld)
        for token in 0..<count { factors[token] = operands.scales.rowScale[(start + token) * problem.queryHeads + head] }
        transpose_tokens(
            operands.query(token: start, head: head), operands.queryStride, count, d, factors, operand.columns, ld, ld)
        (operand.columns + d * ld).update(repeating: 0, count: (features.paddedWidth - d) * ld)
        let weights = workspace.takeZeros(ld)
        operand.weights.update(repeating: 0, count: ld)
        for block in 0..<item.blockCount {
            let tokens = item.block(block)
            let lane = tokens.lowerBound - start
            readWeights(item, tokens: tokens, head: head, weights: weights + lane, offset: operand.weights + lane)
        }
        scale_tokens(
            buffers.outputGradient(token: start, head: head), operands.outputStride, count, problem.valueWidth, weights,
            operand.values, operands.paddedValueWidth)
    }

    /// The derivatives of what 64 queries read from the state: of the numerator a multiple of dy, of the normalizer a number.
    private func readWeights(
        _ item: ChunkItem, tokens: Range<Int>, head: Int, weights: UnsafeMutablePointer<Float>,
        offset: UnsafeMutablePointer<Float>
    ) {
        let keyHead = head / problem.group
        operands.chunkDecay(
            toEnd: false, tokens: tokens, head: keyHead, chunkEnd: item.tokens.upperBound,
            factor: operands.scales.carry(sequence: item.sequence, head: keyHead, chunk: item.chunk), into: weights)
        for lane in 0..<tokens.count {
            let row = (tokens.lowerBound + lane) * problem.queryHeads + head
            offset[lane] = weights[lane] * buffers.offset[row]
            weights[lane] *= buffers.outputFactor[row]
        }
        for lane in tokens.count..<Self.lanes { (weights[lane], offset[lane]) = (0, 0) }
    }

    /// `result += ∂φ(columns)ᵀ·(S·gradients + z·weights)`, tile by tile.
    private func contract(
        _ state: StateBuffer, sequence: Int, head: Int, gradients: UnsafePointer<Float>, weights: UnsafePointer<Float>,
        columns: UnsafePointer<Float>, weighted: Bool, slopes: UnsafeMutablePointer<Float>, result: UnsafeMutablePointer<Float>
    ) {
        let (lanes, e) = (Self.lanes, problem.valueWidth)
        let (S, z) = (state.matrix(sequence: sequence, head: head), state.normalizer(sequence: sequence, head: head))
        forEachTile { block, first, count in
            operands.tile(count, lanes, e, S + first * e, e, 1, gradients, lanes, slopes, lanes, 0)
            add_outer_product(slopes, z + first, weights, count)
            contract_features(
                features.runs, features.position(ofBlock: block), count, degree, columns, slopes, weighted ? 1 : 0, result)
        }
    }

    /// The gradient of what queries read at degree 4, in double as they read it.
    private func contractInDouble(
        _ state: StateBuffer, sequence: Int, head: Int, gradients: UnsafePointer<Float>, weights: UnsafePointer<Float>,
        columns: UnsafePointer<Float>, rows: Int, result: UnsafeMutablePointer<Float>
    ) {
        let count = features.paddedWidth * Self.lanes
        withUnsafeTemporaryAllocation(of: Double.self, capacity: count) { memory in
            memory.initialize(repeating: 0)
            guard let sums = memory.baseAddress else { return }
            read_state_gradient_double(
                features.runs, features.runCount, degree, problem.valueWidth, columns, (rows + 7) / 8 * 8,
                state.matrix(sequence: sequence, head: head), state.normalizer(sequence: sequence, head: head), gradients,
                weights, sums)
            for index in 0..<count { result[index] += Float(sums[index]) }
        }
    }

    private func forEachTile(_ body: (_ block: Int, _ first: Int, _ count: Int) -> Void) {
        for block in stride(from: 0, to: features.blockCount, by: QueryPass.featureBlocks) {
            let first = block * FeatureTable.block
            body(block, first, min(Self.featureCount, features.dimension - first))
        }
    }
}
