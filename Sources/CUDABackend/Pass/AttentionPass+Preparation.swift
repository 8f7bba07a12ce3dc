import BackendInterface
import CUDARuntime
import Tensors

extension AttentionPass {
    /// Exponents, gates, and the inputs as the kernels read them.
    ///
    /// - Parameter progress: with `preparationNumbers` others.
    func prepareInputs(_ inputs: PassInputs, _ progress: Progress) throws(PowerAttentionError) -> PreparedInputs {
        guard library == nil else { return PreparedInputs(given: inputs) }
        let (tokens, keyHeads, queryHeads) = (problem.tokenCount, problem.keyHeads, problem.queryHeads)
        let isPower = problem.degree != nil
        var isScaled = isPower ? progress.others(from: 0) : nil
        let known = isPower ? progress.others(from: 2) : nil
        let keyExponents = isPower ? progress.others(from: 2 + pairs) : nil
        let queryExponents = isPower ? try context.allocate(rows, 4) : nil
        let finalExponents = isPower ? try context.allocate(pairs, 4) : nil
        let gates = isGated ? try context.allocate(keyHeads * tokens, 8) : nil
        let decays = isGated && isPower && kernels.usesDecays ? try context.allocate(keyHeads * tokens, 4) : nil
        let firstVisible = !isPower && (isGated || window > 0) ? try context.allocate(keyHeads * tokens, 4) : nil
        // Sequences without tokens leave the states that they start with.
        if let finalExponents, problem.sequences.contains(where: \.isEmpty) {
            if let initial = inputs.initialState?.exponents {
                try context.copy(initial.pointer, to: finalExponents.pointer, byteCount: pairs * 4)
            } else {
                try context.fill(finalExponents.pointer, byte: 0, byteCount: pairs * 4)
            }
        }
        let gateBlocks = gates != nil || firstVisible != nil ? schedule.chunks.count * keyHeads : 0
        let blocks = gateBlocks + (isPower ? measuredTileCount * (queryHeads + keyHeads) : 0)
        let magnitudes = isPower ? inputs.magnitudes : nil
        try context.launch(
            KernelLaunch(
                magnitudes == nil ? kernels.measureInputs : kernels.measureMagnitudes, grid: .init(blocks),
                threads: PreparationConfiguration.measuringThreads,
                arguments: [
                    .pointer(magnitudes?.q ?? inputs.q), .pointer(magnitudes?.k ?? inputs.k), .pointer(inputs.logG),
                    .memory(measuredTiles), .memory(chunks),
                    .memory(sequences), .memory(queryExponents), .part(keyExponents), .part(known),
                    .memory(inputs.initialState?.exponents), .memory(inputs.initialState?.isUsed), .memory(finalExponents),
                    .part(isScaled), .memory(gates), .memory(decays), .memory(firstVisible), .int(gateBlocks),
                    .int(max(blocks / max(gateBlocks, 1), 1)), .int(measuredTileCount), .int(tokens), .int(queryHeads),
                    .int(keyHeads), .int(magnitudes == nil ? problem.keyWidth : 1), .int(window),
                ]))
        // Rows that already are as the kernels read them stay where they are, unless a power of two has to come off.
        let (keepsValues, keepsVectors) = (plan.keepsValues, plan.keepsVectors)
        if !keepsVectors { isScaled = nil }
        let isConverted = isPower || !keepsVectors
        let queries = isConverted ? try context.allocate(rows * paddedWidth, elementBytes) : nil
        let keys = isConverted ? try context.allocate(tokens * keyHeads * paddedWidth, elementBytes) : nil
        let values = keepsValues ? nil : try context.allocate(tokens * keyHeads * paddedValueWidth, elementBytes)
        let converted = isConverted ? queryHeads + (keepsValues ? 1 : 2) * keyHeads : 0
        try context.launch(
            KernelLaunch(
                kernels.convertInputs, grid: .init(min(preparationTileCount, conversionBlocks(converted)), converted),
                threads: PreparationConfiguration.threads,
                arguments: [
                    .pointer(inputs.q), .pointer(inputs.k), .pointer(inputs.v), .memory(queries), .memory(keys),
                    .memory(values), .memory(queryExponents), .part(keyExponents), .part(isScaled),
                    .memory(preparationTiles), .int(preparationTileCount), .int(queryHeads), .int(keyHeads),
                    .int(problem.keyWidth), .int(problem.valueWidth),
                ]))
        return PreparedInputs(
            queries: .init(given: keepsVectors ? inputs.q : queries?.pointer ?? inputs.q, scaled: queries?.pointer),
            keys: .init(given: keepsVectors ? inputs.k : keys?.pointer ?? inputs.k, scaled: keys?.pointer),
            values: values?.pointer ?? inputs.v, isScaled: isScaled,
            memory: [queries, keys, values].compactMap { $0 }, queryExponents: queryExponents, keyExponents: keyExponents,
            finalExponents: finalExponents, gates: gates, decays: decays, firstVisible: firstVisible)
    }

    /// Numbers that start from zero: two flags, the keys that are known, and the exponents of chunks.
    var preparationNumbers: Int { 2 + pairs + schedule.chunks.count * problem.keyHeads }

    static var gateThreads: Int { PreparationConfiguration.measuringThreads }
    /// Blocks of each of `heads` that convert its rows, where there is anything to convert: as many as the card has room for at once.
    private func conversionBlocks(_ heads: Int) -> Int {
        let perMultiprocessor = 2048 / PreparationConfiguration.threads
        return max(perMultiprocessor * context.properties.multiprocessorCount / max(heads, 1), 1)
    }
}

extension [KernelArgument] {
    /// Queries and keys, and which of their rows to take.
    static func rows(_ prepared: PreparedInputs) -> [KernelArgument] {
        [
            .pointer(prepared.queries.given), .pointer(prepared.keys.given), .pointer(prepared.queries.scaled),
            .pointer(prepared.keys.scaled), .part(prepared.isScaled),
        ]
    }
}
