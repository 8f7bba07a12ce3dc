import CKernels
package import BackendInterface
package import Tensors

extension CPUBackend: AttentionBackend {
    package func forward(_ problem: AttentionProblem, _ inputs: AttentionInputs, finalState: Bool)
        throws(PowerAttentionError) -> AttentionResult
    {
        OperationClock.measure(.attention) { evaluate(problem, inputs, finalState: finalState) }
    }

    func evaluate(_ problem: AttentionProblem, _ inputs: AttentionInputs, finalState: Bool) -> AttentionResult {
        let (q, k, v) = Self.widened(inputs)
        let problem = Self.conditioned(problem)
        let operands = AttentionOperands(problem, q: q, k: k, v: v, logG: inputs.logG, initial: inputs.initialState)
        let shape = Array(inputs.q.shape.dropLast())
        var output = Tensor(uninitialized: shape + [problem.valueWidth], .float32)
        var statistics = Tensor(uninitialized: shape, .float32)
        let pass = QueryPass(
            operands: operands, output: output.mutablePointer(), statistics: statistics.mutablePointer())
        var state: StateBuffer?
        if let features = operands.features,
            finalState || inputs.initialState != nil || operands.chunkCount > 1 || problem.form == .recurrent
        {
            state = StateBuffer(problem, features: features, initial: inputs.initialState)
        }
        if let features = operands.features, let state, problem.form == .recurrent {
            RecurrentPass(operands: operands, features: features, pass: pass).run(state)
        } else {
            let sweep = state.flatMap { _ in
                operands.features.map { StateSweep(operands, features: $0, heads: problem.keyHeads) }
            }
            for chunk in 0..<operands.chunkCount {
                let items = operands.chunkItems(chunk)
                let known = chunk > 0 || inputs.initialState != nil ? state : nil
                WorkList(items, heads: problem.queryHeads, parts: { $0.blockCount }).run { item, head, block in
                    // The last blocks of a chunk see the most keys: the longest work goes out first.
                    pass.run(item, head: head, block: item.blockCount - 1 - block, state: known)
                }
                if let sweep, let state, finalState || chunk + 1 < operands.chunkCount {
                    sweep.advance(items, state: state, weighted: false, prepare: sweep.prepareKeys)
                }
            }
        }
        state?.setExponents(operands.finalExponents)
        withExtendedLifetime((q, k, v)) {}
        return AttentionResult(
            context: AttentionContext(output: output, rowStatistics: statistics), finalState: finalState ? state?.state : nil)
    }

    /// The problem as the passes take it. The attention and the recurrent form are one chunk. Chunks have at least 16 tokens: sums over features of
    /// the few keys of a shorter first chunk cancel where a query is nearly orthogonal to them, and float32 would lose digits
    /// that the definition keeps.
    static func conditioned(_ problem: AttentionProblem) -> AttentionProblem {
        var problem = problem
        if problem.form != .chunked { problem.chunkSize = problem.sequences.map(\.count).max() ?? 1 }
        problem.chunkSize = max(problem.chunkSize, RecurrentPass.directTokens)
        return problem
    }

    /// Queries, keys and values in float32.
    static func widened(_ inputs: AttentionInputs) -> (Tensor, Tensor, Tensor) {
        (inputs.q.converted(to: .float32), inputs.k.converted(to: .float32), inputs.v.converted(to: .float32))
    }
}

extension AttentionOperands {
    /// The exponents of the states after the last token, `[n, h]`.
    var finalExponents: [Int32] {
        problem.sequences.indices.flatMap { sequence in
            (0..<problem.keyHeads).map { head in
                scales.keyExponent(sequence: sequence, head: head, chunk: scales.chunkCounts[sequence] - 1)
            }
        }
    }
}
