import BackendInterface
import CKernels
import Tensors

/// Advances the running state over one chunk index of all sequences: prepares the operands of every head, then updates slices of
/// features on all cores.
final class StateSweep: @unchecked Sendable {
    let operands: AttentionOperands
    let features: FeatureTable
    /// Query heads when the state is a gradient (queries build it), key heads otherwise.
    private let heads: Int
    private let ld: Int
    private let operandSize: Int
    private let memory: Storage
    private let slices: Int

    init(_ operands: AttentionOperands, features: FeatureTable, heads: Int) {
        self.operands = operands
        self.features = features
        self.heads = heads
        let problem = operands.problem
        let longest = min(problem.chunkSize, problem.sequences.map(\.count).max() ?? 0)
        ld = (longest + AttentionOperands.lanes - 1) / AttentionOperands.lanes * AttentionOperands.lanes
        operandSize = StateOperand.size(
            ld: ld, paddedWidth: features.paddedWidth, valueWidth: operands.paddedValueWidth)
        memory = Storage(byteCount: 4 * operandSize * heads * problem.sequences.count)
        let entries = max(1, problem.sequences.count * problem.keyHeads)
        slices = max(1, min(features.blockCount / 4, (8 * coreCount + entries - 1) / entries))
    }

    func operand(sequence: Int, head: Int) -> StateOperand {
        let base = memory.pointer.assumingMemoryBound(to: Float.self)
        return StateOperand(
            at: base + (sequence * heads + head) * operandSize, ld: ld, paddedWidth: features.paddedWidth,
            valueWidth: operands.paddedValueWidth)
    }

    /// Updates `state` over `items`. `prepare` fills a head's operand; each key head's state takes the operands of `group`
    /// consecutive heads.
    func advance(
        _ items: [ChunkItem], state: StateBuffer, weighted: Bool,
        prepare: @Sendable (ChunkItem, _ head: Int, StateOperand) -> Void
    ) {
        WorkList(items, heads: heads, parts: { _ in 1 }).run { item, head, _ in
            prepare(item, head, operand(sequence: item.sequence, head: head))
        }
        let group = heads / operands.problem.keyHeads
        let blocks = features.blockCount
        WorkList(items, heads: operands.problem.keyHeads, parts: { _ in slices }).run { item, head, slice in
            let range = blocks * slice / slices..<blocks * (slice + 1) / slices
            let gateDecay = operands.scales.chunkDecay(
                chunk: item.tokens, head: head, tokens: operands.problem.tokenCount)
            let decay = gateDecay * operands.scales.carry(sequence: item.sequence, head: head, chunk: item.chunk)
            for member in 0..<group {
                var source = operand(sequence: item.sequence, head: head * group + member)
                source.count = item.tokens.count
                operands.accumulate(
                    source, weighted: weighted, decay: member == 0 ? decay : 1, blocks: range, features: features,
                    S: state.matrix(sequence: item.sequence, head: head),
                    z: state.normalizer(sequence: item.sequence, head: head))
            }
        }
    }

    /// Keys and values of a chunk, decayed to its end.
    func prepareKeys(_ item: ChunkItem, _ head: Int, _ operand: StateOperand) {
        let problem = operands.problem
        let (d, e, count) = (problem.keyWidth, problem.valueWidth, item.tokens.count)
        let start = item.tokens.lowerBound
        var workspace = Workspace(floats: ld, pieces: 1)
        let keyScale = workspace.take(ld)
        keyScale.update(
            repeating: operands.scales.keyScale(sequence: item.sequence, head: head, chunk: item.chunk), count: ld)
        transpose_tokens(
            operands.key(token: start, head: head), operands.keyStride, count, d, keyScale, operand.columns, ld, ld)
        (operand.columns + d * ld).update(repeating: 0, count: (features.paddedWidth - d) * ld)
        operand.weights.update(repeating: 0, count: ld)
        operands.chunkDecay(
            toEnd: true, tokens: item.tokens, head: head, chunkEnd: item.tokens.upperBound, factor: 1, into: operand.weights)
        scale_tokens(
            operands.value(token: start, head: head), operands.valueStride, count, e, operand.weights, operand.values,
            operands.paddedValueWidth)
    }
}
