import BackendInterface
import CUDARuntime
import Tensors

extension AttentionPass {
    /// Exponents, gates, and the inputs as the kernels read them.
    func prepareInputs(_ inputs: PassInputs) throws(PowerAttentionError) -> PreparedInputs {
        guard library == nil else { return PreparedInputs(given: inputs) }
        let (tokens, keyHeads, queryHeads) = (problem.tokenCount, problem.keyHeads, problem.queryHeads)
        let isPower = problem.degree != nil
        var queryExponents: DeviceMemory?
        var keyExponents: DeviceMemory?
        var finalExponents: DeviceMemory?
        var isScaled: DeviceMemory?
        if isPower {
            queryExponents = try context.allocate(rows, 4)
            finalExponents = try context.allocate(pairs, 4)
            let exponents = try context.allocate(schedule.chunks.count * keyHeads, 4)
            let flags = try context.allocate(2, 4)
            keyExponents = exponents
            isScaled = flags
            // The bytes of the kernels' NO_EXPONENT, which is no flag either.
            try context.fill(exponents.pointer, byte: 0x80, byteCount: exponents.byteCount)
            try context.fill(flags.pointer, byte: 0x80, byteCount: flags.byteCount)
            try context.launch(
                KernelLaunch(
                    kernels.magnitudes, grid: .init(measuredTileCount * (queryHeads + keyHeads)),
                    threads: PreparationConfiguration.measuringThreads,
                    arguments: [
                        .pointer(inputs.q), .pointer(inputs.k), .memory(measuredTiles), .memory(queryExponents),
                        .memory(exponents), .memory(flags), .int(measuredTileCount), .int(queryHeads), .int(keyHeads),
                        .int(problem.keyWidth),
                    ]))
            try context.launch(
                KernelLaunch(
                    kernels.keyExponents, grid: .init(problem.sequences.count, keyHeads), threads: 32,
                    arguments: [
                        .memory(exponents), .memory(inputs.initialState?.exponents), .memory(inputs.initialState?.isUsed),
                        .memory(sequences), .memory(finalExponents), .memory(flags), .int(keyHeads),
                    ]))
        }
        // Rows that already are as the kernels read them stay where they are, unless a power of two has to come off.
        let keepsValues = isScratchType && problem.valueWidth == paddedValueWidth
        let keepsVectors = keepsValues && problem.keyWidth == paddedWidth
        if !keepsVectors { isScaled = nil }
        let isConverted = isPower || !keepsVectors
        let queries = isConverted ? try context.allocate(rows * paddedWidth, elementBytes) : nil
        let keys = isConverted ? try context.allocate(tokens * keyHeads * paddedWidth, elementBytes) : nil
        let values = keepsValues ? nil : try context.allocate(tokens * keyHeads * paddedValueWidth, elementBytes)
        let converted = isConverted ? queryHeads + (keepsValues ? 1 : 2) * keyHeads : 0
        try context.launch(
            KernelLaunch(
                kernels.convertInputs, grid: .init(min(preparationTileCount, Self.conversionBlocks), converted),
                threads: PreparationConfiguration.threads,
                arguments: [
                    .pointer(inputs.q), .pointer(inputs.k), .pointer(inputs.v), .memory(queries), .memory(keys),
                    .memory(values), .memory(queryExponents), .memory(keyExponents), .memory(isScaled),
                    .memory(preparationTiles), .int(preparationTileCount), .int(queryHeads), .int(keyHeads),
                    .int(problem.keyWidth), .int(problem.valueWidth),
                ]))
        let gates = isGated ? try context.allocate(keyHeads * tokens, 8) : nil
        let decays = isGated && isPower && kernels.usesDecays ? try context.allocate(keyHeads * tokens, 4) : nil
        let firstVisible = !isPower && (isGated || window > 0) ? try context.allocate(keyHeads * tokens, 4) : nil
        if gates != nil || firstVisible != nil {
            try context.launch(
                KernelLaunch(
                    kernels.cumulativeGates, grid: .init(schedule.chunks.count, keyHeads), threads: Self.gateThreads,
                    arguments: [
                        .pointer(inputs.logG), .memory(chunks), .memory(gates), .memory(decays), .memory(firstVisible),
                        .int(tokens),
                        .int(keyHeads), .int(window),
                    ]))
        }
        return PreparedInputs(
            queries: .init(given: keepsVectors ? inputs.q : queries?.pointer ?? inputs.q, scaled: queries?.pointer),
            keys: .init(given: keepsVectors ? inputs.k : keys?.pointer ?? inputs.k, scaled: keys?.pointer),
            values: values?.pointer ?? inputs.v, isScaled: isScaled,
            memory: [queries, keys, values].compactMap { $0 }, queryExponents: queryExponents, keyExponents: keyExponents,
            finalExponents: finalExponents, gates: gates, decays: decays, firstVisible: firstVisible)
    }

    static var gateThreads: Int { 512 }
    /// Blocks of a head that convert its rows, where there is anything to convert: enough to keep the memory busy, few to start.
    static var conversionBlocks: Int { 128 }

    /// Whether scratch memory has the type of the inputs.
    var isScratchType: Bool { dataType == .float32 || kernels.problem.precision == .bfloat16 }
}

extension [KernelArgument] {
    /// Queries and keys, and which of their rows to take.
    static func rows(_ prepared: PreparedInputs) -> [KernelArgument] {
        [
            .pointer(prepared.queries.given), .pointer(prepared.keys.given), .pointer(prepared.queries.scaled),
            .pointer(prepared.keys.scaled), .memory(prepared.isScaled),
        ]
    }
}
