import BackendInterface
import CUDARuntime
import Synchronization
import Tensors

/// What the forward pass of tensors on the card leaves there for the backward pass.
private struct RetainedPass: Sendable {
    let inputs: PassInputs
    let output: PassOutput
    let pass: AttentionPass
}

/// What a pass is made for; passes are kept, because their tables are the same for every layer and every step.
struct PassKey: Hashable {
    let problem: AttentionProblem
    let dataType: DataType
    let isGated: Bool
}

extension CUDABackend {
    /// `y` in the type of the inputs, in the memory of the card, where the inputs are. Work is under way when this returns.
    func forwardOnDevice(
        _ problem: AttentionProblem, _ inputs: AttentionInputs
    ) throws(PowerAttentionError) -> AttentionResult {
        let pass = try keptPass(problem, inputs)
        let given = PassInputs(
            q: inputs.q.devicePointer, k: inputs.k.devicePointer, v: inputs.v.devicePointer,
            logG: inputs.logG?.devicePointer, initialState: nil, owner: inputs)
        let output = try pass.forward(given)
        let shape = Array(inputs.q.shape.dropLast()) + [problem.valueWidth]
        return AttentionResult(
            context: AttentionContext(
                output: context.tensor(output.y, shape, inputs.q.dataType), rowStatistics: nil,
                retained: RetainedPass(inputs: given, output: output, pass: pass)),
            finalState: nil)
    }

    func backwardOnDevice(
        _ inputs: AttentionInputs, context forward: AttentionContext, outputGradient: Tensor
    ) throws(PowerAttentionError) -> AttentionGradients {
        guard let retained = forward.retained as? RetainedPass else {
            preconditionFailure("the context is not of a forward pass on this card")
        }
        let gradients = try retained.pass.backward(retained.inputs, retained.output, dy: outputGradient.devicePointer)
        let type = inputs.q.dataType
        return AttentionGradients(
            q: context.tensor(gradients.q, inputs.q.shape, type), k: context.tensor(gradients.k, inputs.k.shape, type),
            v: context.tensor(gradients.v, inputs.v.shape, type),
            logG: gradients.logG.map { context.tensor($0, Array(inputs.k.shape.dropLast()), .float32) }, initialState: nil)
    }

    private func keptPass(_ problem: AttentionProblem, _ inputs: AttentionInputs) throws(PowerAttentionError) -> AttentionPass {
        var problem = problem
        // The same function; only the chunked form leaves what a backward pass needs.
        if problem.form == .recurrent { problem.form = .chunked }
        let key = PassKey(problem: problem, dataType: inputs.q.dataType, isGated: inputs.logG != nil)
        if let known = passes.withLock({ $0[key] }) { return known }
        let pass = try pass(problem, inputs, finalState: false)
        passes.withLock { passes in
            if passes.count >= 8 { passes.removeAll() }
            passes[key] = pass
        }
        return pass
    }
}
