package import BackendInterface
import CUDARuntime
package import Tensors

extension CUDABackend {
    /// Nothing but the inputs, y and one number a row is kept from the forward pass: states are rebuilt.
    package func backward(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, context forward: AttentionContext, outputGradient: Tensor,
        finalStateGradient: ExpandedState?
    ) throws(PowerAttentionError) -> AttentionGradients {
        if inputs.q.isOnDevice {
            return try backwardOnDevice(inputs, context: forward, outputGradient: outputGradient)
        }
        // The gradients of the recurrent form are those of the chunked one, which has the normalizers that they need.
        var problem = problem
        let isRecurrent = problem.form == .recurrent
        if isRecurrent { problem.form = .chunked }
        let type = inputs.q.dataType
        let pass = try pass(
            problem, inputs, finalState: finalStateGradient != nil, hasFinalGradient: finalStateGradient != nil)
        let (given, _) = try upload(inputs, pass)
        let output: PassOutput
        // Whether rows were scaled, only the forward pass knows where it tries those that were given.
        if isRecurrent || finalStateGradient != nil || forward.rowStatistics == nil || pass.plan.triesGivenRows {
            output = try pass.forward(given, finalState: finalStateGradient != nil)
        } else {
            let progress = try Progress(queues: 0, states: 0, others: pass.preparationNumbers, context)
            let prepared = try pass.prepareInputs(given, progress)
            let states = try pass.walkStates(prepared, given, wantsEnd: false).states
            let y = try context.upload(forward.output.converted(to: pass.exactType))
            output = PassOutput(
                y: y, exact: y,
                statistics: try context.upload(forward.rowStatistics ?? Tensor([pass.rows], .float32)), prepared: prepared,
                states: states, finalState: nil)
        }
        let external = try finalStateGradient.map { gradient throws(PowerAttentionError) in
            try ExternalState(gradient, context)
        }
        let finalGradient = try external.map { gradient throws(PowerAttentionError) in
            try pass.importState(gradient, isGradient: true)
        }
        let dy = try context.upload(outputGradient.converted(to: type))
        let gradients = try pass.backward(
            given, output, dy: dy.pointer, finalGradient: finalGradient, valueGradient: nil, turned: nil)
        func download(_ memory: DeviceMemory, _ shape: [Int]) throws(PowerAttentionError) -> Tensor {
            try context.download(memory.pointer, shape, type).converted(to: .float32)
        }
        guard let q = gradients.q, let k = gradients.k, let v = gradients.v else { preconditionFailure("no place was given") }
        return AttentionGradients(
            q: try download(q, inputs.q.shape), k: try download(k, inputs.k.shape),
            v: try download(v, inputs.v.shape),
            logG: try gradients.logG.map { memory throws(PowerAttentionError) in
                try context.download(memory.pointer, Array(inputs.k.shape.dropLast()), .float32)
            },
            initialState: try gradients.initialState.map { state throws(PowerAttentionError) in
                try self.download(
                    pass.exportState(state, output.prepared, carried: external, isGradient: true), problem)
            })
    }
}
