package import BackendInterface
import CKernels
import Tensors

/// The state products of power attention alone, for benchmarks: the fused update `S += φ(K)ᵀV`, the fused query `φ(Q)S`, and
/// the product of the backward pass `(dY Sᵀ)·∂φ(Q)`, over one chunk of every head.
package struct StateProducts: Sendable {
    private let operands: AttentionOperands
    private let features: FeatureTable
    private let state: StateBuffer
    private let sweep: StateSweep
    private let inputs: AttentionInputs
    private let gradient: StateGradientPass
    private let query: QueryPass
    private let output: Storage

    /// - Precondition: a power problem in float32 of one chunk.
    package init(_ problem: AttentionProblem, _ inputs: AttentionInputs) {
        self.inputs = inputs
        operands = AttentionOperands(
            problem, q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, initial: inputs.initialState)
        guard let features = operands.features else { preconditionFailure("not a power problem") }
        self.features = features
        state = StateBuffer(problem, features: features, initial: nil)
        sweep = StateSweep(operands, features: features, heads: problem.keyHeads)
        let rows = problem.tokenCount * problem.queryHeads
        output = Storage(byteCount: 4 * (rows * (problem.valueWidth + problem.keyWidth + 3)))
        let memory = output.pointer.assumingMemoryBound(to: Float.self)
        memory.update(repeating: 0, count: rows * (problem.valueWidth + problem.keyWidth + 3))
        let y = memory + 3 * rows
        query = QueryPass(operands: operands, output: y, statistics: memory)
        gradient = StateGradientPass(
            buffers: GradientBuffers(
                operands: operands, outputGradient: y, outputFactor: memory, offset: memory + rows, logSum: memory,
                q: y + rows * problem.valueWidth, k: y, v: y, keySums: memory), features: features)
    }

    /// The floating-point operations of one call of each: 2·D·(e + 1) a token and head.
    package var operations: Double {
        let problem = operands.problem
        return 2 * Double(features.dimension * (problem.valueWidth + 1) * problem.tokenCount * problem.queryHeads)
    }

    package func update() {
        sweep.advance(operands.chunkItems(0), state: state, weighted: false, prepare: sweep.prepareKeys)
    }

    package func read() {
        WorkList(operands.chunkItems(0), heads: operands.problem.queryHeads, parts: { $0.blockCount }).run {
            item, head, block in
            query.readState(item, head: head, block: block, state: state, features: features)
        }
    }

    package func readBackward() {
        WorkList(operands.chunkItems(0), heads: operands.problem.queryHeads, parts: { $0.blockCount }).run {
            item, head, block in
            gradient.queries(item, head: head, block: block, state: state)
        }
    }
}
