package import BackendInterface
import CKernels
package import Tensors

extension CPUBackend {
    /// Nothing but the inputs and one number a row is kept from the forward pass: a sweep over the chunks rebuilds the states and
    /// takes the gradients of the queries, a sweep back builds the gradients of the states and takes those of keys and values.
    package func backward(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, context: AttentionContext, outputGradient: Tensor,
        finalStateGradient: ExpandedState?
    ) throws(PowerAttentionError) -> AttentionGradients {
        OperationClock.measure(.attention) {
            guard problem.form == .recurrent else {
                return gradients(
                    problem, inputs, context: context, outputGradient: outputGradient, finalStateGradient: finalStateGradient)
            }
            // The gradients of the recurrent form are those of the chunked one, and want its better conditioned normalizers.
            var chunked = problem
            chunked.form = .chunked
            return gradients(
                chunked, inputs, context: evaluate(chunked, inputs, finalState: false).context,
                outputGradient: outputGradient, finalStateGradient: finalStateGradient)
        }
    }

    private func gradients(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, context: AttentionContext, outputGradient: Tensor,
        finalStateGradient: ExpandedState?
    ) -> AttentionGradients {
        let problem = Self.conditioned(problem)
        let (q, k, v) = Self.widened(inputs)
        let dy = outputGradient.converted(to: .float32)
        let operands = AttentionOperands(problem, q: q, k: k, v: v, logG: inputs.logG, initial: inputs.initialState)
        var (dq, dk, dv) = (Tensor(q.shape, .float32), Tensor(k.shape, .float32), Tensor(v.shape, .float32))
        let rows = problem.tokenCount * problem.queryHeads
        var rowNumbers = Tensor([2, rows], .float32)
        var keySums = Tensor([problem.tokenCount, problem.keyHeads], .float32)
        let outputFactor = rowNumbers.mutablePointer(to: Float.self)
        let statistics = context.rowStatistics ?? Tensor([rows], .float32)
        let buffers = GradientBuffers(
            operands: operands, outputGradient: dy.pointer(), outputFactor: outputFactor, offset: outputFactor + rows,
            logSum: statistics.pointer(), q: dq.mutablePointer(), k: dk.mutablePointer(), v: dv.mutablePointer(),
            keySums: keySums.mutablePointer())
        Self.prepareRows(
            operands, dy: dy, output: context.output, statistics: statistics, factor: outputFactor, offset: outputFactor + rows)

        ScoreGradientPass.run((0..<operands.chunkCount).flatMap { operands.chunkItems($0) }, buffers)
        var finalTerm: [Double] = []
        var initialGradient: ExpandedState?
        if let features = operands.features,
            operands.chunkCount > 1 || inputs.initialState != nil || finalStateGradient != nil
        {
            let pass = StateGradientPass(buffers: buffers, features: features)
            finalTerm = Self.sweepForward(pass, operands, features, inputs, finalStateGradient)
            initialGradient = Self.sweepBack(pass, operands, features, inputs, finalStateGradient)
        }
        let gates = inputs.logG.map { GateGradient(buffers: buffers).compute(logG: $0, finalTerm: finalTerm) }
        withExtendedLifetime((q, k, v, dy, statistics, rowNumbers, keySums, context)) {}
        return AttentionGradients(q: dq, k: dk, v: dv, logG: gates, initialState: initialGradient)
    }

    /// The states from the first chunk on, and dq of the queries that read them. Returns `⟨dS, S⟩ + ⟨dz, z⟩` at the end.
    private static func sweepForward(
        _ pass: StateGradientPass, _ operands: AttentionOperands, _ features: FeatureTable, _ inputs: AttentionInputs,
        _ finalGradient: ExpandedState?
    ) -> [Double] {
        let problem = operands.problem
        let state = StateBuffer(problem, features: features, initial: inputs.initialState)
        let sweep = StateSweep(operands, features: features, heads: problem.keyHeads)
        for chunk in 0..<operands.chunkCount {
            let items = operands.chunkItems(chunk)
            if chunk > 0 || inputs.initialState != nil {
                WorkList(items, heads: problem.queryHeads, parts: { $0.blockCount }).run { item, head, block in
                    pass.queries(item, head: head, block: block, state: state)
                }
            }
            if finalGradient != nil || chunk + 1 < operands.chunkCount {
                sweep.advance(items, state: state, weighted: false, prepare: sweep.prepareKeys)
            }
        }
        guard let finalGradient else { return [] }
        let gradient = StateBuffer(problem, features: features, initial: finalGradient)
        return problem.sequences.indices.flatMap { sequence in
            (0..<problem.keyHeads).map { head in
                inner_product(
                    state.matrix(sequence: sequence, head: head), gradient.matrix(sequence: sequence, head: head),
                    features.dimension * problem.valueWidth)
                    + inner_product(
                        state.normalizer(sequence: sequence, head: head), gradient.normalizer(sequence: sequence, head: head),
                        features.dimension)
            }
        }
    }

    /// The gradients of the states from the last chunk back, and dk and dv of the tokens that built them.
    private static func sweepBack(
        _ pass: StateGradientPass, _ operands: AttentionOperands, _ features: FeatureTable, _ inputs: AttentionInputs,
        _ finalGradient: ExpandedState?
    ) -> ExpandedState? {
        let problem = operands.problem
        var gradient = StateBuffer(problem, features: features, initial: finalGradient)
        let sweep = StateSweep(operands, features: features, heads: problem.queryHeads)
        for chunk in (0..<operands.chunkCount).reversed() {
            let items = operands.chunkItems(chunk)
            let gradient = gradient
            // After its last chunk a sequence's state matters only where its gradient was given.
            let built = items.filter { finalGradient != nil || chunk + 1 < operands.scales.chunkCounts[$0.sequence] }
            WorkList(built, heads: problem.keyHeads, parts: { $0.blockCount }).run { item, head, block in
                pass.keys(item, head: head, block: block, gradient: gradient)
            }
            if chunk > 0 || inputs.initialState != nil {
                sweep.advance(items, state: gradient, weighted: true, prepare: pass.prepareQueries)
            }
        }
        guard inputs.initialState != nil else { return nil }
        gradient.setExponents(operands.scales.initialExponents)
        return gradient.state
    }

    /// The factor of dy and the derivative of the normalizer for every row.
    private static func prepareRows(
        _ operands: AttentionOperands, dy: Tensor, output: Tensor, statistics: Tensor, factor: UnsafeMutablePointer<Float>,
        offset: UnsafeMutablePointer<Float>
    ) {
        let problem = operands.problem
        let (heads, e) = (problem.queryHeads, problem.valueWidth)
        let (sharedFactor, sharedOffset) = (Shared(factor), Shared(offset))
        let (gradient, y) = (SharedReadOnly(dy.pointer(to: Float.self)), SharedReadOnly(output.pointer(to: Float.self)))
        let stored = SharedReadOnly(statistics.pointer(to: Float.self))
        for chunk in 0..<operands.chunkCount {
            WorkList(operands.chunkItems(chunk), heads: heads, parts: { _ in 1 }).run { item, head, _ in
                let exponent = operands.scales.keyExponent(
                    sequence: item.sequence, head: head / problem.group, chunk: item.chunk)
                for token in item.tokens {
                    let row = token * heads + head
                    switch (problem.mechanism, problem.normalization) {
                    case (.exponential, _): sharedFactor.pointer[row] = 1
                    case (.power, .sum): sharedFactor.pointer[row] = stored.pointer[row]
                    case (.power, .none):
                        sharedFactor.pointer[row] = Float(
                            operands.rawFactor(token: token, head: head, keyExponent: exponent))
                    }
                }
                guard problem.normalization == .sum else { return }
                let row = item.tokens.lowerBound * heads + head
                row_offsets(
                    gradient.pointer + row * e, y.pointer + row * e, heads * e, item.tokens.count, e,
                    sharedFactor.pointer + row, heads, sharedOffset.pointer + row)
            }
        }
    }
}
