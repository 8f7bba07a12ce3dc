import BackendInterface
import Tensors

extension AttentionOperator {
    /// The types that gates and states of a call may have.
    private func accumulationTypes(_ dataType: DataType) -> [DataType] {
        device == .reference || dataType == .float64 ? [.float32, .float64] : [.float32]
    }

    /// Checks one call and makes every choice that the configuration leaves open.
    package func problem(
        _ inputs: AttentionInputs, cuSeqlens: [Int]?, finalState: Bool
    ) throws(PowerAttentionError) -> AttentionProblem {
        let types = accumulationTypes(inputs.q.dataType)
        let extents = try inputs.validatedExtents(accumulationTypes: types)
        var problem = try unresolvedProblem(extents, cuSeqlens: cuSeqlens)
        let choice = try FormChoice(
            problem, configuration, device: device, initialState: inputs.initialState != nil, finalState: finalState)
        problem.form = choice.form
        problem.chunkSize = choice.chunkSize
        if let initialState = inputs.initialState {
            try check(initialState, "initial state", problem, besides: inputs.q.dataType)
        }
        return problem
    }

    /// The problem before a form is chosen.
    func unresolvedProblem(_ extents: AttentionExtents, cuSeqlens: [Int]?) throws(PowerAttentionError) -> AttentionProblem {
        if case .power = configuration.mechanism, configuration.tile > extents.keyWidth {
            throw PowerAttentionError(
                argument: "tile", given: "\(configuration.tile)", expected: "1…\(extents.keyWidth), the width of the keys")
        }
        let sequences = try sequences(batch: extents.batch, length: extents.length, cuSeqlens: cuSeqlens)
        guard sequences.count <= AttentionExtents.pairLimit / extents.keyHeads else {
            throw PowerAttentionError(
                argument: cuSeqlens == nil ? "k" : "cu_seqlens",
                given: "\(sequences.count) sequences of \(extents.keyHeads) key heads",
                expected: "at most \(AttentionExtents.pairLimit) in all")
        }
        return AttentionProblem(
            mechanism: configuration.mechanism, normalization: configuration.normalization, form: configuration.form,
            scale: configuration.scale ?? 1 / Double(extents.keyWidth).squareRoot(), chunkSize: configuration.chunkSize ?? 1,
            tile: configuration.tile,
            sequences: sequences,
            tokenCount: extents.batch * extents.length, queryHeads: extents.queryHeads, keyHeads: extents.keyHeads,
            keyWidth: extents.keyWidth, valueWidth: extents.valueWidth)
    }

    /// Checks a state, or the gradient of one, against a problem whose inputs have type `dataType`.
    func check(
        _ state: ExpandedState, _ argument: String, _ problem: AttentionProblem, besides dataType: DataType
    ) throws(PowerAttentionError) {
        try AttentionInputs.check(
            state, argument, sequences: problem.sequences.count, heads: problem.keyHeads,
            dimension: problem.expansion?.dimension ?? 0, valueWidth: problem.valueWidth,
            accumulationTypes: accumulationTypes(dataType))
    }
}

extension AttentionProblem {
    /// φ of the keys, where the mechanism has one.
    package var expansion: SymmetricPower? {
        degree.map { SymmetricPower(degree: $0, width: keyWidth, tile: tile) }
    }

    /// `[b, t, hq, e]` for queries of shape `[b, t, hq, d]`.
    func outputShape(_ queryShape: [Int]) -> [Int] { Array(queryShape.dropLast()) + [valueWidth] }
}
