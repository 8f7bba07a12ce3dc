import BackendInterface
import CUDARuntime
package import Tensors

extension AttentionPass {
    /// y, and the state after the last token where it is asked for. Work is under way when this returns, in the order of the stream.
    ///
    /// - Parameter forBackward: whether what the backward pass needs of y is kept.
    package func forward(
        _ inputs: PassInputs, finalState: Bool = false, forBackward: Bool = true
    ) throws(PowerAttentionError) -> PassOutput {
        if let library { return try library.forward(inputs) }
        let progress = try Progress(
            queues: 2, states: schedule.chunks.count * problem.keyHeads, others: preparationNumbers, context)
        let triesGivenRows = plan.triesGivenRows && !finalState
        let prepared = triesGivenRows ? try allocateInputs(inputs, progress) : try prepareInputs(inputs, progress)
        let walked = try walkStates(prepared, inputs, wantsEnd: finalState, progress)
        let y = try context.allocate(rows * problem.valueWidth, dataType.byteCount)
        // In float32 y is exact itself.
        let exact = !forBackward ? nil : dataType == .float32 ? y : try context.allocate(rows * problem.valueWidth, 4)
        let statistics = try context.allocate(rows, 4)
        let factor = rowFactor
        let arguments: [KernelArgument] =
            .rows(prepared) + [
                .pointer(prepared.values), .memory(prepared.gates),
                .memory(prepared.firstVisible), .memory(walked.states), .memory(features?.blocks),
                .memory(prepared.queryExponents), .part(prepared.keyExponents), .memory(forwardTiles), .memory(chunks),
                .memory(y), .memory(dataType == .float32 ? nil : exact), .memory(statistics), .int(problem.tokenCount),
                .int(problem.queryHeads), .int(problem.keyHeads), .int(problem.valueWidth), .int(paddedValueWidth),
                .int(features?.blockCount ?? 0), .flag(hasInitialState), .int(window),
                .float(problem.degree == nil ? exponentScale : factor.significand), .int(factor.exponent),
            ]
        if let tiles = kernels.hopperForward {
            func launch(
                queue: Int = 0, needsScaling: DevicePart? = nil, isNeeded: DevicePart? = nil, startsEarly: Bool
            ) throws(PowerAttentionError) {
                let items = forwardTileCount * problem.queryHeads
                try context.launch(
                    KernelLaunch(
                        kernels.forward, grid: .init(min(items, context.properties.multiprocessorCount)),
                        threads: tiles.threads, sharedBytes: tiles.sharedBytes,
                        arguments: arguments + [.memory(prepared.decays), .int(forwardTileCount), progress.taken(queue)]
                            + walked.waiting(for: progress) + [.part(needsScaling), .part(isNeeded)],
                        startsEarly: startsEarly))
            }
            if triesGivenRows {
                // The kernels behind the first try return at once where it found nothing to scale.
                let needsScaling = needsScaling(progress)
                try measure(inputs, prepared, progress, .gates)
                try launch(needsScaling: needsScaling, startsEarly: isGated)
                try measure(inputs, prepared, progress, .rows, isNeeded: needsScaling)
                try convert(inputs, prepared, startsEarly: true)
                try launch(queue: 1, isNeeded: needsScaling, startsEarly: true)
            } else {
                try launch(startsEarly: walked.storingBlocks != nil)
            }
        } else {
            let tiles = kernels.forwardTiles
            try context.launch(
                KernelLaunch(
                    kernels.forward,
                    grid: .init(forwardTileCount, problem.queryHeads, paddedValueWidth / tiles.valueTile),
                    threads: tiles.warps * 32, sharedBytes: tiles.sharedBytes, arguments: arguments))
        }
        let final = walked.end.flatMap { end in
            prepared.finalExponents.map { DeviceState(numbers: end, exponents: $0, isUsed: nil) }
        }
        return PassOutput(
            y: y, exact: exact, statistics: statistics, prepared: prepared, states: walked.states, finalState: final)
    }

    /// The states before the chunks, where a chunk reads one, and the state after the last token, where it is asked for.
    ///
    /// - Parameter progress: where blocks count that they have stored their parts of a state, for a kernel that starts early.
    func walkStates(
        _ prepared: PreparedInputs, _ inputs: PassInputs, wantsEnd: Bool, _ progress: Progress? = nil
    ) throws(PowerAttentionError) -> WalkedStates {
        guard features != nil, hasChunks || hasInitialState || wantsEnd else { return .none }
        return try walk(
            Walk(
                vectors: prepared.keys, values: prepared.values, extra: nil, statistics: nil, reverse: false,
                start: inputs.initialState,
                initialExponents: inputs.initialState?.exponents, wantsEnd: wantsEnd), prepared, progress)
    }
}
