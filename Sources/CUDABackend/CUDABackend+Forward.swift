package import BackendInterface
package import CUDARuntime
package import Tensors

extension CUDABackend {
    package func forward(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, finalState: Bool
    ) throws(PowerAttentionError) -> AttentionResult {
        if inputs.q.isOnDevice {
            return finalState ? try advanceOnDevice(problem, inputs) : try forwardOnDevice(problem, inputs)
        }
        if problem.form == .recurrent { return try advance(problem, inputs, finalState: finalState) }
        let pass = try pass(problem, inputs, finalState: finalState)
        let (given, initialState) = try upload(inputs, pass)
        let output = try pass.forward(given, finalState: finalState)
        let shape = Array(inputs.q.shape.dropLast())
        guard let exact = output.exact else { preconditionFailure("asked for by default") }
        let y = try context.download(exact.pointer, shape + [problem.valueWidth], pass.exactType)
            .converted(to: .float32)
        let statistics = try context.download(output.statistics.pointer, shape, .float32)
        return AttentionResult(
            context: AttentionContext(output: y, rowStatistics: statistics),
            finalState: try output.finalState.map { state throws(PowerAttentionError) in
                try download(
                    pass.exportState(state, output.prepared, carried: initialState, isGradient: false), problem)
            })
    }

    /// Tokens of a launch of the recurrent form: room for partial sums is needed for each.
    private static let tokensPerStep = 64

    /// A problem in launches of the recurrent form, one after the other.
    func steps(_ problem: AttentionProblem) -> [AttentionProblem] {
        let longest = problem.sequences.map(\.count).max() ?? 0
        return stride(from: 0, to: longest, by: Self.tokensPerStep).map { start in
            var piece = problem
            piece.sequences = problem.sequences.map { sequence in
                let first = min(sequence.lowerBound + start, sequence.upperBound)
                return first..<min(first + Self.tokensPerStep, sequence.upperBound)
            }
            return piece
        }
    }

    /// The recurrent form.
    private func advance(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, finalState: Bool
    ) throws(PowerAttentionError) -> AttentionResult {
        guard let power = problem.expansion else { preconditionFailure("exponential attention has no state") }
        let type = inputs.q.dataType
        let given =
            inputs.initialState
            ?? ExpandedState(
                zeros: problem.sequences.count, keyHeads: problem.keyHeads, dimension: power.dimension,
                valueWidth: problem.valueWidth)
        let state = try ExternalState(given, context)
        let isUsed = try context.upload(Self.isUsed(given))
        let tensors = try HostTensors(inputs, context)
        let shape = Array(inputs.q.shape.dropLast()) + [problem.valueWidth]
        let y = try context.allocate(shape.reduce(1, *), type.byteCount)
        for (index, piece) in steps(problem).enumerated() {
            let pass = try StepPass(
                context, piece, dataType: type, isGated: inputs.logG != nil, features: features(power))
            // Whatever has tokens left has a state by the second piece.
            try pass.advance(
                tensors.inputs(initialState: nil), S: state.S.pointer, z: state.z.pointer,
                exponents: state.exponents.pointer, isUsed: index == 0 ? isUsed.pointer : nil, into: y.pointer)
        }
        let output = try context.download(y.pointer, shape, type).converted(to: .float32)
        return AttentionResult(
            context: AttentionContext(output: output, rowStatistics: nil),
            finalState: finalState ? try download(state, problem) : nil)
    }

    /// Which states hold a number that is not zero.
    private static func isUsed(_ state: ExpandedState) -> [Int32] {
        let pairs = state.exponent.count
        func isZero(_ tensor: Tensor, _ pair: Int) -> Bool {
            let tensor = tensor.converted(to: .float32)
            return tensor.withElements(of: Float.self) { elements in
                let size = elements.count / pairs
                return elements[pair * size..<(pair + 1) * size].allSatisfy { $0 == 0 }
            }
        }
        return (0..<pairs).map { isZero(state.z, $0) && isZero(state.S, $0) ? 0 : 1 }
    }

    /// - Parameters:
    ///   - finalState: whether the state after the last token is wanted.
    ///   - hasFinalGradient: whether the gradient of a final state is given.
    func pass(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, finalState: Bool, hasFinalGradient: Bool = false
    ) throws(PowerAttentionError) -> AttentionPass {
        let plan = try plan(problem, inputs, hasFinalGradient: hasFinalGradient)
        // The tables of a large power are as large as its state: they are made where there is one.
        let hasState = plan.hasChunks || finalState || inputs.initialState != nil || hasFinalGradient
        let pass = try AttentionPass(
            context, plan,
            features: hasState ? problem.expansion.map { power throws(PowerAttentionError) in try features(power) } : nil)
        try pass.prepare(
            movesState: inputs.initialState != nil || hasFinalGradient || finalState,
            knowsMagnitudes: inputs.magnitudes != nil)
        return pass
    }

    private func plan(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, hasFinalGradient: Bool
    ) throws(PowerAttentionError) -> AttentionPlan {
        try AttentionPlan(
            problem, dataType: inputs.q.dataType, isGated: inputs.logG != nil, hasInitialState: inputs.initialState != nil,
            hasFinalGradient: hasFinalGradient, on: CardLimits(context.properties))
    }

    /// The kernels that a call forward and one back will run.
    ///
    /// - Parameter movesState: whether a state comes out, with a gradient.
    package func kernels(
        _ problem: AttentionProblem, _ inputs: AttentionInputs, movesState: Bool
    ) throws(PowerAttentionError) -> [KernelSource] {
        let moves = movesState || inputs.initialState != nil
        guard problem.form == .recurrent, let power = problem.expansion else {
            guard try isReproducible(problem, inputs) else { return [] }
            // The forward pass does not know of the gradient that may come.
            return try plan(problem, inputs, hasFinalGradient: false).sources(movesState: moves)
                + plan(problem, inputs, hasFinalGradient: movesState).sources(movesState: moves)
        }
        var chunked = problem
        chunked.form = .chunked
        let step = KernelProblem(problem, dataType: inputs.q.dataType, isGated: inputs.logG != nil)
        return try kernels(chunked, inputs, movesState: movesState)
            + [step.step(StepConfiguration(step, valueWidth: problem.valueWidth, dimension: power.dimension))]
    }

    /// Whether the same call gives the same bits every time: always by the kernels of this package, not by a library.
    package func isReproducible(
        _ problem: AttentionProblem, _ inputs: AttentionInputs
    ) throws(PowerAttentionError) -> Bool {
        let library = try LibraryAttention.serving(
            problem, dataType: inputs.q.dataType, isGated: inputs.logG != nil, on: context)
        return library == nil
    }

    func upload(
        _ inputs: AttentionInputs, _ pass: AttentionPass
    ) throws(PowerAttentionError) -> (PassInputs, initialState: ExternalState?) {
        let external = try inputs.initialState.map { state throws(PowerAttentionError) in try ExternalState(state, context) }
        let state = try external.map { state throws(PowerAttentionError) in try pass.importState(state, isGradient: false) }
        return (try HostTensors(inputs, context).inputs(initialState: state), external)
    }

    func download(_ state: ExternalState, _ problem: AttentionProblem) throws(PowerAttentionError) -> ExpandedState {
        let shape = [problem.sequences.count, problem.keyHeads]
        let dimension = problem.expansion?.dimension ?? 0
        return ExpandedState(
            S: try context.download(state.S.pointer, shape + [dimension, problem.valueWidth], .float32),
            z: try context.download(state.z.pointer, shape + [dimension], .float32),
            exponent: try context.download(state.exponents.pointer, shape, .int32))
    }
}

/// The tensors of a call, in the memory of the card for as long as this lives.
struct HostTensors: Sendable {
    private let q, k, v: DeviceMemory
    private let logG: DeviceMemory?

    init(_ inputs: AttentionInputs, _ context: CUDAContext) throws(PowerAttentionError) {
        q = try context.upload(inputs.q)
        k = try context.upload(inputs.k)
        v = try context.upload(inputs.v)
        logG = try inputs.logG.map { gates throws(PowerAttentionError) in try context.upload(gates) }
    }

    func inputs(initialState: DeviceState?) -> PassInputs {
        PassInputs(
            q: q.pointer, k: k.pointer, v: v.pointer, logG: logG?.pointer, initialState: initialState, owner: self)
    }
}
