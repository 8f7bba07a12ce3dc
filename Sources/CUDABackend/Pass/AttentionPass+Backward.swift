import BackendInterface
package import CUDARuntime
package import Tensors

extension AttentionPass {
    /// The gradients of one call, given `dy [tokens, hq, e]` in the type of the inputs. Work is under way when this returns.
    ///
    /// - Parameters:
    ///   - valueGradient: where the gradient of values goes instead of a tensor of its own; a library does not know how.
    ///   - turned: where those of queries and keys go, if ``turnsGradients``.
    package func backward(
        _ inputs: PassInputs, _ output: PassOutput, dy: DevicePointer, valueGradient: RowPlace? = nil,
        turned: TurnedPlaces? = nil
    ) throws(PowerAttentionError) -> PassGradients {
        try backward(inputs, output, dy: dy, finalGradient: nil, valueGradient: valueGradient, turned: turned)
    }

    func backward(
        _ inputs: PassInputs, _ output: PassOutput, dy: DevicePointer, finalGradient: DeviceState?,
        valueGradient: RowPlace?, turned: TurnedPlaces?
    ) throws(PowerAttentionError) -> PassGradients {
        if let library { return try library.backward(inputs, output, dy: dy) }
        let turned = turnsGradients ? turned : nil
        let prepared = output.prepared
        let (converted, offsets) = try outputGradients(output, dy)
        let dy = converted?.pointer ?? dy
        let progress = try Progress(queues: 2, states: schedule.chunks.count * problem.keyHeads, context)
        let (dq, rowSums) = try queryGradients(output, dy: dy, offsets: offsets, turned, progress)

        var walked = WalkedStates.none
        var initialGradient: DeviceState?
        if features != nil, hasChunks || hasInitialState || finalGradient != nil {
            walked = try walk(
                Walk(
                    vectors: prepared.queries, values: dy, extra: offsets, statistics: output.statistics, reverse: true,
                    start: finalGradient,
                    initialExponents: inputs.initialState?.exponents, wantsEnd: hasInitialState), prepared,
                progress)
            initialGradient = walked.end.flatMap { end in
                inputs.initialState.map { DeviceState(numbers: end, exponents: $0.exponents, isUsed: nil) }
            }
        }
        let (dk, dv, columnSums) = try keyGradients(
            output, dy: dy, offsets: offsets, stateGradients: walked, hasFinalGradient: finalGradient != nil, valueGradient,
            turned, progress)

        var dlogG: DeviceMemory?
        if isGated {
            var products: DeviceMemory?
            if let finalGradient, let state = output.finalState {
                products = try self.products(state.numbers, finalGradient.numbers)
            }
            dlogG = try gateGradients(inputs, rowSums: rowSums, columnSums: columnSums, finalProducts: products)
        }
        return PassGradients(q: dq, k: dk, v: dv, logG: dlogG, initialState: initialGradient)
    }

    /// ∂y `[tokens, hq, padded e]` as the kernels read it, where it is not so already, and o `[tokens, hq]`: see `output_gradients`.
    private func outputGradients(
        _ output: PassOutput, _ dy: DevicePointer
    ) throws(PowerAttentionError) -> (converted: DeviceMemory?, offsets: DeviceMemory) {
        guard let exact = output.exact else { preconditionFailure("the forward pass was not for a backward pass") }
        let offsets = try context.allocate(rows, 4)
        if kernels.queriesBringOffsets { return (nil, offsets) }
        let converted = plan.keepsValues ? nil : try context.allocate(rows * paddedValueWidth, elementBytes)
        try context.launch(
            KernelLaunch(
                kernels.outputGradients, grid: .init(preparationTileCount, problem.queryHeads),
                threads: PreparationConfiguration.threads,
                arguments: [
                    .pointer(dy), .memory(exact), .memory(output.statistics), .memory(output.prepared.gates),
                    .memory(preparationTiles), .memory(chunks), .memory(converted), .memory(offsets), .int(problem.tokenCount),
                    .int(problem.queryHeads), .int(problem.keyHeads), .int(problem.valueWidth), .flag(!hasInitialState),
                ]))
        return (converted, offsets)
    }

    /// Whether the kernels of queries and keys turn their gradients back.
    package var turnsGradients: Bool { library == nil && plan.turnsGradients }

    /// What the kernels that turn gradients back are told of the rows of `heads`.
    private func turning(_ turned: TurnedPlaces?, _ place: RowPlace?, heads: Int) -> [KernelArgument] {
        [
            .int(place?.stride ?? heads * problem.keyWidth), .pointer(turned?.cosines), .pointer(turned?.sines),
            .int(turned?.length ?? 1),
        ]
    }

    private func queryGradients(
        _ output: PassOutput, dy: DevicePointer, offsets: DeviceMemory, _ turned: TurnedPlaces?, _ progress: Progress
    ) throws(PowerAttentionError) -> (dq: DeviceMemory?, rowSums: DeviceMemory?) {
        let prepared = output.prepared
        let parts = kernels.backwardQueriesParts
        let dq = turned == nil ? try context.allocate(rows * problem.keyWidth, dataType.byteCount) : nil
        let rowSums = plan.needsRowSums ? try context.allocate(parts * rows, 4) : nil
        let arguments: [KernelArgument] =
            .rows(prepared) + [
                .pointer(prepared.values), .pointer(dy),
                .memory(offsets), .memory(output.statistics), .memory(prepared.gates), .memory(prepared.firstVisible),
                .memory(output.states), .memory(features?.blocks), .memory(prepared.queryExponents), .memory(queryTiles),
                .memory(chunks), .pointer(turned?.queries.first ?? dq?.pointer, heldBy: dq), .memory(rowSums),
                .int(problem.tokenCount), .int(problem.queryHeads),
                .int(problem.keyHeads), .int(problem.keyWidth), .int(features?.blockCount ?? 0),
                .flag(hasInitialState), .int(window), .float(exponentScale), .float(Float(problem.scale)),
                .memory(output.exact),
            ]
        if let tiles = kernels.hopperBackwardQueries {
            let items = queryTileCount * problem.queryHeads
            try context.launch(
                KernelLaunch(
                    kernels.backwardQueries, grid: .init(min(items, context.properties.multiprocessorCount)),
                    threads: tiles.threads, sharedBytes: tiles.sharedBytes,
                    arguments: arguments + [.memory(prepared.decays), .int(queryTileCount), progress.taken(0)]
                        + turning(turned, turned?.queries, heads: problem.queryHeads)))
        } else {
            let tiles = kernels.backwardQueriesTiles
            try context.launch(
                KernelLaunch(
                    kernels.backwardQueries, grid: .init(queryTileCount, problem.queryHeads, parts), threads: tiles.warps * 32,
                    sharedBytes: tiles.sharedBytes, arguments: arguments))
        }
        return (dq, rowSums)
    }

    private func keyGradients(
        _ output: PassOutput, dy: DevicePointer, offsets: DeviceMemory, stateGradients: WalkedStates, hasFinalGradient: Bool,
        _ valueGradient: RowPlace?, _ turned: TurnedPlaces?, _ progress: Progress
    ) throws(PowerAttentionError) -> (dk: DeviceMemory?, dv: DeviceMemory?, columnSums: DeviceMemory?) {
        let prepared = output.prepared
        let keyRows = problem.tokenCount * problem.keyHeads
        let dk = turned == nil ? try context.allocate(keyRows * problem.keyWidth, dataType.byteCount) : nil
        let dv = valueGradient == nil ? try context.allocate(keyRows * problem.valueWidth, dataType.byteCount) : nil
        let valueStride = valueGradient?.stride ?? problem.keyHeads * problem.valueWidth
        let columnSums = isGated ? try context.allocate(kernels.backwardKeysParts * keyRows, 4) : nil
        let arguments: [KernelArgument] =
            .rows(prepared) + [
                .pointer(prepared.values), .pointer(dy),
                .memory(offsets), .memory(output.statistics), .memory(prepared.gates), .memory(prepared.firstVisible),
                .memory(stateGradients.states), .memory(features?.blocks), .part(prepared.keyExponents), .memory(keyTiles),
                .memory(chunks), .pointer(turned?.keys.first ?? dk?.pointer, heldBy: dk),
                .pointer(valueGradient?.first ?? dv?.pointer, heldBy: dv),
                .int(valueStride), .memory(columnSums), .int(problem.tokenCount),
                .int(problem.queryHeads), .int(problem.keyHeads), .int(problem.keyWidth), .int(problem.valueWidth),
                .int(features?.blockCount ?? 0), .flag(hasFinalGradient), .int(window), .float(exponentScale),
                .float(Float(problem.scale)),
            ]
        if let tiles = kernels.hopperBackwardKeys {
            let items = keyTileCount * problem.keyHeads
            try context.launch(
                KernelLaunch(
                    kernels.backwardKeys, grid: .init(min(items, context.properties.multiprocessorCount)),
                    threads: tiles.threads, sharedBytes: tiles.sharedBytes,
                    arguments: arguments + [.int(keyTileCount), progress.taken(1)]
                        + turning(turned, turned?.keys, heads: problem.keyHeads) + stateGradients.waiting(for: progress),
                    startsEarly: stateGradients.storingBlocks != nil))
        } else {
            let tiles = kernels.backwardKeysTiles
            let parts = max(paddedWidth / tiles.widthTile, paddedValueWidth / tiles.valueTile)
            try context.launch(
                KernelLaunch(
                    kernels.backwardKeys, grid: .init(keyTileCount, problem.keyHeads, parts), threads: tiles.warps * 32,
                    sharedBytes: tiles.sharedBytes, arguments: arguments))
        }
        return (dk, dv, columnSums)
    }

    private func gateGradients(
        _ inputs: PassInputs, rowSums: DeviceMemory?, columnSums: DeviceMemory?, finalProducts: DeviceMemory?
    ) throws(PowerAttentionError) -> DeviceMemory {
        let gradients = try context.allocate(problem.tokenCount * problem.keyHeads, 4)
        // Of later chunks of a sequence.
        let sums = hasChunks ? try context.allocate(schedule.chunks.count * problem.keyHeads, 8) : nil
        let restarts = hasChunks ? try context.allocate(schedule.chunks.count * problem.keyHeads, 4) : nil
        let grid = KernelLaunch.Grid(schedule.chunks.count, problem.keyHeads)
        let heads: [KernelArgument] = [
            .int(problem.tokenCount), .int(problem.queryHeads), .int(problem.keyHeads),
            .int(rowSums == nil ? 0 : kernels.backwardQueriesParts), .int(kernels.backwardKeysParts),
        ]
        if hasChunks {
            try context.launch(
                KernelLaunch(
                    kernels.gateSums, grid: grid, threads: Self.gateThreads,
                    arguments: [
                        .pointer(inputs.logG), .memory(rowSums), .memory(columnSums), .memory(chunks), .memory(sums),
                        .memory(restarts),
                    ] + heads + [.flag(!hasInitialState)]))
        }
        try context.launch(
            KernelLaunch(
                kernels.gateGradients, grid: grid, threads: Self.gateThreads,
                arguments: [
                    .pointer(inputs.logG), .memory(rowSums), .memory(columnSums), .memory(finalProducts), .memory(sequences),
                    .memory(chunks), .memory(sums), .memory(restarts), .memory(gradients),
                ] + heads + [.int(finalProducts == nil ? 0 : Self.productParts), .flag(!hasInitialState)],
                startsEarly: hasChunks))
        return gradients
    }
}
