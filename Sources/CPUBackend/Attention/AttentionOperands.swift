import BackendInterface
import CKernels
import Tensors

/// The inputs of one call as the passes read them: pointers, strides and scales. Tokens are counted through the batch.
struct AttentionOperands: @unchecked Sendable {
    let problem: AttentionProblem
    let q, k, v: UnsafePointer<Float>
    let scales: AttentionScales
    let tile: matrix_tile_float
    /// `nil` for exponential attention.
    let features: FeatureTable?
    /// Whether sequences see nothing before their first token.
    let startsEmpty: Bool

    static let lanes = Int(TOKEN_LANES)

    init(
        _ problem: AttentionProblem, q: Tensor, k: Tensor, v: Tensor, logG: Tensor?, initial: ExpandedState?
    ) {
        self.problem = problem
        self.q = q.pointer()
        self.k = k.pointer()
        self.v = v.pointer()
        scales = AttentionScales(problem, q: self.q, k: self.k, logG: logG, initial: initial)
        tile = best_matrix_tile_float()
        startsEmpty = initial == nil
        features = problem.degree.map {
            FeatureTable.table(for: SymmetricPower(degree: $0, width: problem.keyWidth, tile: problem.tile))
        }
    }

    var queryStride: Int { problem.queryHeads * problem.keyWidth }
    var keyStride: Int { problem.keyHeads * problem.keyWidth }
    var valueStride: Int { problem.keyHeads * problem.valueWidth }
    var outputStride: Int { problem.queryHeads * problem.valueWidth }
    /// e rounded up to whole vectors, for operands of the micro-kernel.
    var paddedValueWidth: Int { (problem.valueWidth + 15) / 16 * 16 }
    var paddedKeyWidth: Int { (problem.keyWidth + 15) / 16 * 16 }

    func query(token: Int, head: Int) -> UnsafePointer<Float> { q + token * queryStride + head * problem.keyWidth }
    func key(token: Int, head: Int) -> UnsafePointer<Float> { k + token * keyStride + head * problem.keyWidth }
    func value(token: Int, head: Int) -> UnsafePointer<Float> { v + token * valueStride + head * problem.valueWidth }

    /// The cumulative log-gates of a key head from a token on, inclusive, from the start of the token's chunk.
    func gate(token: Int, head: Int) -> UnsafePointer<Double>? {
        scales.gates.map { UnsafePointer($0 + head * problem.tokenCount + token) }
    }

    /// Whether a token sees no weight but its own, up to e^−100: the first of a sequence, or one with a closed gate.
    func isAlone(token: Int, in item: ChunkItem, head: Int) -> Bool {
        if startsEmpty && token == problem.sequences[item.sequence].lowerBound { return true }
        guard let gate = gate(token: token, head: head) else { return false }
        let before = token == item.tokens.lowerBound ? 0 : (gate - 1).pointee
        return gate.pointee - before < -100
    }

    /// The powers of two of 64 consecutive query rows.
    func rowScales(token: Int, head: Int, rows: Int, into factors: UnsafeMutablePointer<Float>) {
        for lane in 0..<rows { factors[lane] = scales.rowScale[(token + lane) * problem.queryHeads + head] }
        for lane in rows..<Self.lanes { factors[lane] = 0 }
    }

    /// `scale^p · 2^(p(a + E))` of a row, the factor of its output without normalization.
    func rawFactor(token: Int, head: Int, keyExponent: Int32) -> Double {
        guard let degree = problem.degree else { return 1 }
        let row = -Int(scales.rowScale[token * problem.queryHeads + head].exponent)
        var factor = 1.0
        for _ in 0..<degree { factor *= problem.scale }
        return factor * Double(sign: .plus, exponent: degree * (row + Int(keyExponent)), significand: 1)
    }

    /// How the queries or keys of one chunk decay towards its start or end: exp(G_i − 0), or exp(G_end − G_j), times `factor`.
    func chunkDecay(
        toEnd: Bool, tokens: Range<Int>, head: Int, chunkEnd: Int, factor: Float, into weights: UnsafeMutablePointer<Float>
    ) {
        if let gate = gate(token: tokens.lowerBound, head: head), let end = self.gate(token: chunkEnd - 1, head: head) {
            relative_decay(gate, toEnd ? end.pointee : 0, toEnd ? -1 : 1, tokens.count, weights)
        } else {
            for lane in 0..<tokens.count { weights[lane] = 1 }
        }
        if factor != 1 { scale_elements(weights, factor, tokens.count) }
    }
}

/// One sequence's share of a chunk index: which sequence, which tokens.
struct ChunkItem: Sendable {
    var sequence: Int
    var chunk: Int
    var tokens: Range<Int>

    /// Blocks of 64 tokens.
    var blockCount: Int { (tokens.count + AttentionOperands.lanes - 1) / AttentionOperands.lanes }

    func block(_ index: Int) -> Range<Int> {
        let start = tokens.lowerBound + index * AttentionOperands.lanes
        return start..<min(start + AttentionOperands.lanes, tokens.upperBound)
    }
}

extension AttentionOperands {
    /// The chunks with this index of all sequences that have one.
    func chunkItems(_ chunk: Int) -> [ChunkItem] {
        problem.sequences.indices.compactMap { index in
            guard chunk < scales.chunkCounts[index] else { return nil }
            return ChunkItem(sequence: index, chunk: chunk, tokens: problem.chunk(chunk, of: problem.sequences[index]))
        }
    }

    var chunkCount: Int { scales.chunkCounts.max() ?? 0 }
}

/// A work item of a pass: a chunk, a head, and a part (a block of tokens or a slice of features).
struct WorkList: Sendable {
    let items: [ChunkItem]
    let heads: Int
    /// Where each chunk's parts begin in the numbering; one more entry than chunks.
    let starts: [Int]

    init(_ items: [ChunkItem], heads: Int, parts: (ChunkItem) -> Int) {
        self.items = items
        self.heads = heads
        var starts = [0]
        for item in items { starts.append((starts.last ?? 0) + heads * parts(item)) }
        self.starts = starts
    }

    func run(_ body: @Sendable (_ item: ChunkItem, _ head: Int, _ part: Int) -> Void) {
        parallelFor(starts.last ?? 0) { index in
            var (low, high) = (0, items.count - 1)
            while low < high {
                let middle = (low + high + 1) / 2
                if starts[middle] <= index { low = middle } else { high = middle - 1 }
            }
            let local = index - starts[low]
            body(items[low], local % heads, local / heads)
        }
    }
}
