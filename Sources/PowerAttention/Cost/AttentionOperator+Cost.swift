package import BackendInterface
public import Tensors

extension AttentionOperator {
    /// What a call on tensors of this shape would cost, in the form that it would take.
    ///
    /// - Throws: `PowerAttentionError` where the extents are illegal or the state does not fit in memory.
    public func cost(of shape: AttentionShape) throws(PowerAttentionError) -> AttentionCost {
        try cost(of: shape, initialState: false, finalState: false)
    }

    /// What a call costs that starts with a state, or leaves one.
    package func cost(
        of shape: AttentionShape, initialState: Bool, finalState: Bool
    ) throws(PowerAttentionError) -> AttentionCost {
        let problem = try unresolvedProblem(shape)
        let choice = try FormChoice(
            problem, configuration, device: device, initialState: initialState, finalState: finalState)
        return AttentionCost(
            problem, form: choice.form, chunkSize: choice.chunkSize, initialState: initialState, finalState: finalState)
    }

    /// The form and the chunk size of a call on tensors of this shape, with the reason in words.
    public func describeForm(of shape: AttentionShape) throws(PowerAttentionError) -> String {
        try FormChoice(unresolvedProblem(shape), configuration, device: device, initialState: false, finalState: false)
            .description
    }

    /// The problem of one call on tensors of this shape, without states.
    package func problem(of shape: AttentionShape) throws(PowerAttentionError) -> AttentionProblem {
        var problem = try unresolvedProblem(shape)
        let choice = try FormChoice(problem, configuration, device: device, initialState: false, finalState: false)
        problem.form = choice.form
        problem.chunkSize = choice.chunkSize
        return problem
    }

    /// The same before a form is chosen.
    func unresolvedProblem(_ shape: AttentionShape) throws(PowerAttentionError) -> AttentionProblem {
        for (name, value) in [("batch", shape.batch), ("length", shape.length)] where value < 0 {
            throw PowerAttentionError(argument: name, given: "\(value)", expected: "at least 0")
        }
        let extents = AttentionExtents(
            batch: shape.batch, length: shape.length, queryHeads: shape.queryHeads, keyHeads: shape.keyHeads,
            keyWidth: shape.keyWidth, valueWidth: shape.valueWidth)
        try extents.validate()
        return try unresolvedProblem(extents, cuSeqlens: nil)
    }
}
