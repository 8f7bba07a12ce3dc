import BackendInterface
import CUDARuntime
import Tensors

extension AttentionPass {
    private static var exchangeThreads: Int { 256 }
    private static var exchangeRows: Int { 16 }
    private static var scanThreads: Int { 128 }
    /// Parts in which the product of a state and its gradient is summed.
    static var productParts: Int { 32 }

    private func slices(_ features: Int) -> Int { (features + Self.exchangeRows - 1) / Self.exchangeRows }

    /// A state, or the gradient of one, from the layout outside.
    func importState(_ state: ExternalState, isGradient: Bool) throws(PowerAttentionError) -> DeviceState {
        guard let features else { preconditionFailure("exponential attention has no state") }
        let numbers = try context.allocate(pairs * features.count * stateStride, 4)
        let isUsed = try context.allocate(pairs, 4)
        try context.fill(isUsed.pointer, byte: 0, byteCount: isUsed.byteCount)
        try context.launch(
            KernelLaunch(
                kernels.importState, grid: .init(pairs * slices(features.count)), threads: Self.exchangeThreads,
                arguments: [
                    .memory(state.S), .memory(state.z), .memory(numbers), .memory(isUsed), .memory(features.memberStarts),
                    .memory(features.members), .memory(features.internal), .memory(features.externalCoefficients),
                    .memory(features.coefficients), .int(features.count), .int(features.power.dimension),
                    .int(problem.valueWidth), .int(paddedValueWidth), .flag(isGradient),
                ]))
        return DeviceState(numbers: numbers, exponents: state.exponents, isUsed: isUsed)
    }

    /// A state, or the gradient of one, in the layout outside.
    ///
    /// - Parameter carried: what went in at the other end of the sequences: a state for a state, a gradient for a gradient.
    func exportState(
        _ state: DeviceState, _ prepared: PreparedInputs, carried: ExternalState?, isGradient: Bool
    ) throws(PowerAttentionError) -> ExternalState {
        guard let features else { preconditionFailure("exponential attention has no state") }
        let dimension = features.power.dimension
        let S = try context.allocate(pairs * dimension * problem.valueWidth, 4)
        let z = try context.allocate(pairs * dimension, 4)
        try context.launch(
            KernelLaunch(
                kernels.exportState, grid: .init(pairs * slices(dimension)), threads: Self.exchangeThreads,
                arguments: [
                    .memory(state.numbers), .memory(S), .memory(z), .memory(features.internal), .memory(features.memberStarts),
                    .memory(features.members), .memory(features.externalCoefficients), .memory(features.coefficients),
                    .memory(carried?.S), .memory(carried?.z), .memory(prepared.gates),
                    .memory(isGradient ? state.exponents : carried?.exponents), .memory(prepared.finalExponents),
                    .memory(sequences), .memory(chunks), .int(problem.tokenCount), .int(problem.keyHeads),
                    .int(features.count), .int(dimension), .int(problem.valueWidth), .int(paddedValueWidth),
                    .int(features.power.degree), .flag(isGradient),
                ]))
        return ExternalState(S: S, z: z, exponents: state.exponents)
    }

    /// What walks the chunks: keys and values for the states, queries and gradients of outputs for the gradients of the states.
    struct Walk {
        var vectors: PreparedRows
        var values: DevicePointer
        /// What the normalizer's column sums; ones where it is `nil`.
        var extra: DeviceMemory?
        /// The factors of the rows; ones where it is `nil`.
        var statistics: DeviceMemory?
        var reverse: Bool
        /// Before the first chunk of the walk.
        var start: DeviceState?
        var initialExponents: DeviceMemory?
        /// Whether the state after the last chunk of the walk is wanted.
        var wantsEnd: Bool
    }

    /// The states before (in reverse, after) every chunk in scratch precision, and the state at the end in float32.
    func walk(
        _ walk: Walk, _ prepared: PreparedInputs, _ progress: Progress? = nil
    ) throws(PowerAttentionError) -> WalkedStates {
        guard let features, let configuration = kernels.states(reverse: walk.reverse) else {
            preconditionFailure("exponential attention has no state")
        }
        let numbers = features.count * stateStride
        let states = try context.allocate(
            hasChunks || walk.start != nil
                ? schedule.chunks.count * problem.keyHeads
                    * kernels.stateNumbers(features.count) : 1, elementBytes)
        // Of a symmetric state columns that the inputs lack are read, as zeros, and so are rows beside a normalizer of degree 1: not all of them
        // are stored.
        if kernels.stateLayout != nil, !problem.keyWidth.isMultiple(of: 16) || (problem.degree == 1 && walk.start != nil) {
            try context.fill(states.pointer, byte: 0, byteCount: states.byteCount)
        }
        var walked = WalkedStates(states: states)
        walked.end = walk.wantsEnd ? try context.allocate(pairs * numbers, 4) : nil
        if configuration.isSplit, let table = sums?.table(reverse: walk.reverse, wantsEnd: walk.wantsEnd) {
            let sums = try context.allocate(table.count * problem.keyHeads * numbers, 4)
            var single = walk
            single.start = nil
            single.initialExponents = nil
            try updateStates(single, prepared, sequences: table.chunks, count: table.count, states: nil, end: sums)
            try scanStates(
                walk, prepared, sums: sums, sequences: table.sequences, states: states, end: walked.end)
        } else {
            try updateStates(
                walk, prepared, sequences: sequences, count: problem.sequences.count, states: states, end: walked.end,
                progress)
            if progress != nil, configuration.isHopper {
                walked.storingBlocks = configuration.stateBlocks(features.count)
            }
        }
        return walked
    }

    /// - Parameters:
    ///   - sequences: a table of `count` sequences, or of single chunks.
    ///   - states: room for the states before every chunk of a sequence; none where it has one chunk and starts with nothing.
    private func updateStates(
        _ walk: Walk, _ prepared: PreparedInputs, sequences: DeviceMemory, count: Int, states: DeviceMemory?,
        end: DeviceMemory?, _ progress: Progress? = nil
    ) throws(PowerAttentionError) {
        guard let features, let configuration = kernels.states(reverse: walk.reverse) else { return }
        let tables: [KernelArgument] = [
            .memory(prepared.gates), .memory(features.blocks), .memory(features.coefficients), .part(prepared.keyExponents),
            .memory(walk.initialExponents), .memory(sequences), .memory(chunks), .memory(walk.start?.numbers), .memory(states),
            .memory(end), .int(problem.tokenCount), .int(problem.keyHeads), .int(walk.reverse ? problem.group : 1),
        ]
        try context.launch(
            KernelLaunch(
                kernels.stateUpdate(reverse: walk.reverse),
                grid: .init(
                    configuration.stateBlocks(features.count),
                    problem.keyHeads * configuration.valueBlocks(kernels.problem), count),
                threads: configuration.threads, sharedBytes: configuration.sharedBytes,
                arguments: [
                    .pointer(walk.vectors.given), .pointer(walk.vectors.scaled), .part(prepared.isScaled),
                    .pointer(walk.values), .memory(walk.extra), .memory(walk.statistics),
                ] + tables + (configuration.isHopper ? [] : [.int(paddedValueWidth)]) + [.int(features.blockCount)]
                    + (configuration.isHopper ? [progress?.stored ?? .pointer(nil)] : [])))
    }

    /// The states from the sums of single chunks.
    private func scanStates(
        _ walk: Walk, _ prepared: PreparedInputs, sums: DeviceMemory, sequences: DeviceMemory, states: DeviceMemory,
        end: DeviceMemory?
    ) throws(PowerAttentionError) {
        guard let features else { return }
        // A thread has two numbers.
        let pairs = features.count * stateStride / 2
        try context.launch(
            KernelLaunch(
                kernels.scanStates,
                grid: .init((pairs + Self.scanThreads - 1) / Self.scanThreads, problem.keyHeads, problem.sequences.count),
                threads: Self.scanThreads,
                arguments: [
                    .memory(sums), .memory(prepared.gates), .memory(features.blocks), .memory(features.coefficients),
                    .part(prepared.keyExponents),
                    .memory(walk.initialExponents), .memory(sequences), .memory(chunks), .memory(walk.start?.numbers),
                    .memory(states), .memory(end), .int(problem.tokenCount), .int(problem.keyHeads), .int(features.count),
                    .int(stateStride), .flag(walk.reverse),
                ]))
    }

    /// Parts of `⟨dS, S⟩ + ⟨dz, z⟩` for every sequence and key head, in float64.
    func products(_ state: DeviceMemory, _ gradient: DeviceMemory) throws(PowerAttentionError) -> DeviceMemory {
        guard let features else { preconditionFailure("exponential attention has no state") }
        let products = try context.allocate(pairs * Self.productParts, 8)
        try context.launch(
            KernelLaunch(
                kernels.stateProducts, grid: .init(pairs, Self.productParts), threads: Self.exchangeThreads,
                arguments: [
                    .memory(state), .memory(gradient), .memory(features.coefficients), .memory(products),
                    .int(features.count), .int(stateStride),
                ]))
        return products
    }
}
