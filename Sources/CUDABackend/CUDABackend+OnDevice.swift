import BackendInterface
import CUDARuntime
import Synchronization
package import Tensors

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
            logG: inputs.logG?.devicePointer, initialState: nil,
            magnitudes: inputs.magnitudes.map { ($0.queries.devicePointer, $0.keys.devicePointer) }, owner: inputs)
        let output = try pass.forward(given)
        let shape = Array(inputs.q.shape.dropLast()) + [problem.valueWidth]
        return AttentionResult(
            context: AttentionContext(
                output: context.tensor(output.y, shape, inputs.q.dataType), rowStatistics: nil,
                retained: RetainedPass(inputs: given, output: output, pass: pass)),
            finalState: nil)
    }

    /// The recurrent form of tensors on the card, the state among them. The state that is given stays as it is, because whoever holds it may
    /// go on with it: it is copied, which moves as much as the step does.
    func advanceOnDevice(
        _ problem: AttentionProblem, _ inputs: AttentionInputs
    ) throws(PowerAttentionError) -> AttentionResult {
        guard let power = problem.expansion else { preconditionFailure("exponential attention has no state") }
        let state: ExpandedState
        var isUsed: Tensor?
        if let given = inputs.initialState {
            state = try copy(given)
        } else {
            state = try zeros(problem, dimension: power.dimension)
            isUsed = try copy(state.exponent)
        }
        let y = try context.tensor(Array(inputs.q.shape.dropLast()) + [problem.valueWidth], inputs.q.dataType)
        let given = PassInputs(
            q: inputs.q.devicePointer, k: inputs.k.devicePointer, v: inputs.v.devicePointer,
            logG: inputs.logG?.devicePointer, initialState: nil, owner: inputs)
        for (index, piece) in steps(problem).enumerated() {
            let key = PassKey(problem: piece, dataType: inputs.q.dataType, isGated: inputs.logG != nil)
            try keptStep(key, power).advance(
                given, S: state.S.devicePointer, z: state.z.devicePointer, exponents: state.exponent.devicePointer,
                isUsed: index == 0 ? isUsed?.devicePointer : nil, into: y.devicePointer)
        }
        return AttentionResult(context: AttentionContext(output: y, rowStatistics: nil), finalState: state)
    }

    private func zeros(_ problem: AttentionProblem, dimension: Int) throws(PowerAttentionError) -> ExpandedState {
        let shape = [problem.sequences.count, problem.keyHeads]
        func zeros(_ shape: [Int], _ type: DataType) throws(PowerAttentionError) -> Tensor {
            let tensor = try context.tensor(shape, type)
            try context.fill(tensor.devicePointer, byte: 0, byteCount: tensor.storage.byteCount)
            return tensor
        }
        return ExpandedState(
            S: try zeros(shape + [dimension, problem.valueWidth], .float32), z: try zeros(shape + [dimension], .float32),
            exponent: try zeros(shape, .int32))
    }

    private func copy(_ state: ExpandedState) throws(PowerAttentionError) -> ExpandedState {
        ExpandedState(S: try copy(state.S), z: try copy(state.z), exponent: try copy(state.exponent))
    }

    /// A tensor of the card, which may be in host memory now.
    private func copy(_ tensor: Tensor) throws(PowerAttentionError) -> Tensor {
        guard tensor.isOnDevice else { return context.tensor(try context.upload(tensor), tensor.shape, tensor.dataType) }
        let result = try context.tensor(tensor.shape, tensor.dataType)
        try context.copy(tensor.devicePointer, to: result.devicePointer, byteCount: tensor.storage.byteCount)
        return result
    }

    /// Tokens that come one by one have the same pass every time.
    private func keptStep(_ key: PassKey, _ power: SymmetricPower) throws(PowerAttentionError) -> StepPass {
        try kept(key, in: steps) { () throws(PowerAttentionError) in
            try StepPass(context, key.problem, dataType: key.dataType, isGated: key.isGated, features: features(power))
        }
    }

    /// What was made for a key, or is made now. A few are kept.
    private func kept<Pass: Sendable>(
        _ key: PassKey, in cache: borrowing Mutex<[PassKey: Pass]>, make: () throws(PowerAttentionError) -> Pass
    ) throws(PowerAttentionError) -> Pass {
        if let known = cache.withLock({ $0[key] }) { return known }
        let pass = try make()
        cache.withLock { passes in
            if passes.count >= 8 { passes.removeAll() }
            passes[key] = pass
        }
        return pass
    }

    func backwardOnDevice(
        _ inputs: AttentionInputs, context forward: AttentionContext, outputGradient: Tensor
    ) throws(PowerAttentionError) -> AttentionGradients {
        guard let retained = forward.retained as? RetainedPass else {
            preconditionFailure("the context is not of a forward pass on this card")
        }
        let type = inputs.q.dataType
        let gradients = try retained.pass.backward(
            retained.inputs, retained.output, dy: outputGradient.devicePointer,
            valueGradient: inputs.valueGradient.map(RowPlace.init), turned: inputs.turnedGradients.map(TurnedPlaces.init))
        func tensor(_ memory: DeviceMemory?, _ shape: [Int]) throws(PowerAttentionError) -> Tensor {
            guard let memory else { return try context.tensor([0], type) }
            return context.tensor(memory, shape, type)
        }
        return AttentionGradients(
            q: try tensor(gradients.q, inputs.q.shape), k: try tensor(gradients.k, inputs.k.shape),
            v: try tensor(gradients.v, inputs.v.shape),
            logG: gradients.logG.map { context.tensor($0, Array(inputs.k.shape.dropLast()), .float32) }, initialState: nil
        )
    }

    /// Whether a library's kernels take the place of all others.
    package func usesLibrary(_ plan: AttentionPlan) throws(PowerAttentionError) -> Bool {
        try LibraryAttention.serving(
            plan.problem, dataType: plan.dataType, isGated: plan.kernels.problem.isGated, on: context) != nil
    }

    private func keptPass(_ problem: AttentionProblem, _ inputs: AttentionInputs) throws(PowerAttentionError) -> AttentionPass {
        var problem = problem
        // The same function; only the chunked form leaves what a backward pass needs.
        if problem.form == .recurrent { problem.form = .chunked }
        let key = PassKey(problem: problem, dataType: inputs.q.dataType, isGated: inputs.logG != nil)
        return try kept(key, in: passes) { () throws(PowerAttentionError) in
            try pass(key.problem, inputs, finalState: false)
        }
    }
}

extension RowPlace {
    init(_ columns: RowColumns) {
        let bytes = columns.first * columns.rows.dataType.byteCount
        self.init(first: columns.rows.devicePointer.advanced(by: bytes), stride: columns.rows.rowWidth)
    }
}

extension TurnedPlaces {
    init(_ gradients: TurnedGradients) {
        self.init(
            queries: RowPlace(gradients.queries), keys: RowPlace(gradients.keys), cosines: gradients.cosines.devicePointer,
            sines: gradients.sines.devicePointer, length: gradients.cosines.rowCount)
    }
}
