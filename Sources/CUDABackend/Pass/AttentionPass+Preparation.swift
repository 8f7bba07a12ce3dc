import BackendInterface
import CUDARuntime
import Tensors

extension AttentionPass {
    /// Exponents, gates, and the inputs as the kernels read them.
    func prepareInputs(_ inputs: PassInputs) throws(PowerAttentionError) -> PreparedInputs {
        let (tokens, keyHeads, queryHeads) = (problem.tokenCount, problem.keyHeads, problem.queryHeads)
        let isPower = problem.degree != nil
        var queryExponents: DeviceMemory?
        var keyExponents: DeviceMemory?
        var finalExponents: DeviceMemory?
        let grid = { (heads: Int) in KernelLaunch.Grid(self.preparationTileCount, heads) }
        if isPower {
            queryExponents = try context.allocate(rows, 4)
            finalExponents = try context.allocate(pairs, 4)
            let exponents = try context.allocate(schedule.chunks.count * keyHeads, 4)
            keyExponents = exponents
            // The bytes of the kernels' NO_EXPONENT.
            try context.fill(exponents.pointer, byte: 0x80, byteCount: exponents.byteCount)
            try context.launch(
                KernelLaunch(
                    kernels.keyMagnitudes, grid: grid(keyHeads), threads: PreparationConfiguration.threads,
                    arguments: [
                        .pointer(inputs.k), .memory(preparationTiles), .memory(exponents), .int(keyHeads),
                        .int(problem.keyWidth),
                    ]))
            try context.launch(
                KernelLaunch(
                    kernels.keyExponents, grid: .init(problem.sequences.count, keyHeads), threads: 32,
                    arguments: [
                        .memory(exponents), .memory(inputs.initialState?.exponents), .memory(inputs.initialState?.isUsed),
                        .memory(sequences), .memory(finalExponents), .int(keyHeads),
                    ]))
        }
        // Rows that already are as the kernels read them stay where they are.
        let isScratchType = dataType == .float32 || kernels.problem.precision == .bfloat16
        let keepsValues = isScratchType && problem.valueWidth == paddedValueWidth
        let keepsVectors = keepsValues && !isPower && problem.keyWidth == paddedWidth
        let queries = keepsVectors ? nil : try context.allocate(rows * paddedWidth, elementBytes)
        let keys = keepsVectors ? nil : try context.allocate(tokens * keyHeads * paddedWidth, elementBytes)
        let values = keepsValues ? nil : try context.allocate(tokens * keyHeads * paddedValueWidth, elementBytes)
        let converted = keepsVectors ? 0 : queryHeads + (keepsValues ? 1 : 2) * keyHeads
        try context.launch(
            KernelLaunch(
                kernels.convertInputs, grid: grid(converted), threads: PreparationConfiguration.threads,
                arguments: [
                    .pointer(inputs.q), .pointer(inputs.k), .pointer(inputs.v), .memory(queries), .memory(keys),
                    .memory(values), .memory(queryExponents), .memory(keyExponents), .memory(preparationTiles),
                    .int(queryHeads), .int(keyHeads),
                    .int(problem.keyWidth), .int(problem.valueWidth),
                ]))
        let gates = isGated ? try context.allocate(keyHeads * tokens, 8) : nil
        let firstVisible = !isPower && (isGated || window > 0) ? try context.allocate(keyHeads * tokens, 4) : nil
        if gates != nil || firstVisible != nil {
            try context.launch(
                KernelLaunch(
                    kernels.cumulativeGates, grid: .init(schedule.chunks.count, keyHeads), threads: Self.gateThreads,
                    arguments: [
                        .pointer(inputs.logG), .memory(chunks), .memory(gates), .memory(firstVisible), .int(tokens),
                        .int(keyHeads), .int(window),
                    ]))
        }
        return PreparedInputs(
            queries: queries?.pointer ?? inputs.q, keys: keys?.pointer ?? inputs.k, values: values?.pointer ?? inputs.v,
            memory: [queries, keys, values].compactMap { $0 }, queryExponents: queryExponents, keyExponents: keyExponents,
            finalExponents: finalExponents, gates: gates, firstVisible: firstVisible)
    }

    static var gateThreads: Int { 512 }
}
