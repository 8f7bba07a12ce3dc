import BackendInterface
import CKernels
import Foundation
import Tensors

/// The factors exp(G_i − G_j) of a block of 64 queries against blocks of keys, and the causal mask.
///
/// For keys before the queries the factor is a product of one number a key and one a query, both decays to the first query and
/// so at most 1; only the block on the diagonal needs a number a pair.
struct BlockDecay {
    private let operands: AttentionOperands
    private let queryTokens: Range<Int>
    private let head: Int
    private let diagonal, keyFactors, queryFactors: UnsafeMutablePointer<Float>

    /// What the kernels take for the keys prepared last: a tile, or else a factor a key (none: ones) and a factor a query.
    private(set) var tile: UnsafeMutablePointer<Float>?
    private(set) var keys: UnsafeMutablePointer<Float>?
    var queries: UnsafeMutablePointer<Float> { queryFactors }

    init(_ operands: AttentionOperands, queries: Range<Int>, head: Int, workspace: inout Workspace) {
        let lanes = AttentionOperands.lanes
        self.operands = operands
        queryTokens = queries
        self.head = head
        diagonal = workspace.take(lanes * lanes)
        keyFactors = workspace.take(lanes)
        queryFactors = workspace.takeZeros(lanes)
        let gate = operands.gate(token: queries.lowerBound, head: head)
        diagonal_decay(gate, queries.count, diagonal)
        if let gate {
            relative_decay(gate, gate.pointee, 1, queries.count, queryFactors)
        } else {
            queryFactors.update(repeating: 1, count: lanes)
        }
    }

    mutating func prepare(keys tokens: Range<Int>) {
        tile = tokens.lowerBound == queryTokens.lowerBound ? diagonal : nil
        keys = nil
        guard tile == nil, let gate = operands.gate(token: tokens.lowerBound, head: head),
            let reference = operands.gate(token: queryTokens.lowerBound, head: head)
        else { return }
        relative_decay(gate, reference.pointee, -1, tokens.count, keyFactors)
        keys = keyFactors
    }
}

extension AttentionOperands {
    /// The window of exponential attention; without one, more than any sequence.
    var window: Int {
        if case .exponential(let window) = problem.mechanism { window ?? 1 << 40 } else { 1 << 40 }
    }

    /// The first tokens of the blocks of 64 keys that some of the queries see.
    func visibleBlocks(_ item: ChunkItem, queries: Range<Int>) -> StrideThrough<Int> {
        let start = item.tokens.lowerBound
        let first = max(start, queries.lowerBound - window + 1)
        return stride(
            from: start + (first - start) / Self.lanes * Self.lanes, through: queries.lowerBound, by: Self.lanes)
    }

    func mask(keys: Range<Int>, queries: Range<Int>, head: Int) -> exponential_mask {
        exponential_mask(
            key: keys.lowerBound, query: queries.lowerBound, window: window,
            key_gate: gate(token: keys.lowerBound, head: head), query_gate: gate(token: queries.lowerBound, head: head))
    }
}

func logarithm(_ x: Float) -> Float { Float(log(Double(x))) }
