import BackendInterface
import CUDARuntime
import Tensors

extension AttentionPass {
    /// Exponents, gates, and the inputs as the kernels read them.
    ///
    /// - Parameter progress: with `preparationNumbers` others.
    func prepareInputs(_ inputs: PassInputs, _ progress: Progress) throws(PowerAttentionError) -> PreparedInputs {
        guard library == nil else { return PreparedInputs(given: inputs) }
        let prepared = try allocateInputs(inputs, progress)
        try measure(inputs, prepared, progress)
        try convert(inputs, prepared)
        return prepared
    }

    /// Room for what is prepared, and what sequences without tokens leave. Until rows are measured and converted, kernels take those
    /// that were given, if they already are as the kernels read them.
    func allocateInputs(_ inputs: PassInputs, _ progress: Progress) throws(PowerAttentionError) -> PreparedInputs {
        let (tokens, keyHeads) = (problem.tokenCount, problem.keyHeads)
        let isPower = problem.degree != nil
        let keyExponents = isPower ? progress.others(from: 3 + pairs) : nil
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
        // Rows that already are as the kernels read them stay where they are, unless a power of two has to come off.
        let (keepsValues, keepsVectors) = (plan.keepsValues, plan.keepsVectors)
        let isConverted = isPower || !keepsVectors
        let queries = isConverted ? try context.allocate(rows * paddedWidth, elementBytes) : nil
        let keys = isConverted ? try context.allocate(tokens * keyHeads * paddedWidth, elementBytes) : nil
        let values = keepsValues ? nil : try context.allocate(tokens * keyHeads * paddedValueWidth, elementBytes)
        return PreparedInputs(
            queries: .init(given: keepsVectors ? inputs.q : queries?.pointer ?? inputs.q, scaled: queries?.pointer),
            keys: .init(given: keepsVectors ? inputs.k : keys?.pointer ?? inputs.k, scaled: keys?.pointer),
            values: values?.pointer ?? inputs.v, isScaled: isPower && keepsVectors ? progress.others(from: 0) : nil,
            memory: [queries, keys, values].compactMap { $0 }, queryExponents: queryExponents, keyExponents: keyExponents,
            finalExponents: finalExponents, gates: gates, decays: decays, firstVisible: firstVisible)
    }

    /// What a launch finds out of the inputs.
    struct Measured: OptionSet {
        let rawValue: Int

        /// The cumulative sums of gates, where there are any.
        static let gates = Measured(rawValue: 1)
        /// The exponents of rows, for powers.
        static let rows = Measured(rawValue: 2)
    }

    /// Finds out what has to be known of the inputs before they are multiplied.
    ///
    /// - Parameter isNeeded: a number that the kernel before makes; where it is zero, nothing is found out.
    func measure(
        _ inputs: PassInputs, _ prepared: PreparedInputs, _ progress: Progress, _ measured: Measured = [.gates, .rows],
        isNeeded: DevicePart? = nil
    ) throws(PowerAttentionError) {
        let (keyHeads, queryHeads) = (problem.keyHeads, problem.queryHeads)
        let isPower = problem.degree != nil
        let hasGates = measured.contains(.gates) && (prepared.gates != nil || prepared.firstVisible != nil)
        let gateBlocks = hasGates ? schedule.chunks.count * keyHeads : 0
        let isMostlySkipped = isNeeded != nil
        let tileCount =
            !measured.contains(.rows) || !isPower ? 0 : isMostlySkipped ? mostlySkippedTileCount : measuredTileCount
        let blocks = gateBlocks + tileCount * (queryHeads + keyHeads)
        let magnitudes = isPower ? inputs.magnitudes : nil
        try context.launch(
            KernelLaunch(
                magnitudes == nil ? kernels.measureInputs : kernels.measureMagnitudes, grid: .init(blocks),
                threads: PreparationConfiguration.measuringThreads,
                arguments: [
                    .pointer(magnitudes?.q ?? inputs.q), .pointer(magnitudes?.k ?? inputs.k), .pointer(inputs.logG),
                    .memory(isMostlySkipped ? mostlySkippedTiles : measuredTiles), .memory(chunks),
                    .memory(sequences), .memory(prepared.queryExponents), .part(prepared.keyExponents),
                    .part(isPower ? progress.others(from: 3) : nil),
                    .memory(inputs.initialState?.exponents), .memory(inputs.initialState?.isUsed),
                    .memory(prepared.finalExponents), .part(isPower ? progress.others(from: 0) : nil),
                    .memory(prepared.gates), .memory(prepared.decays), .memory(prepared.firstVisible), .int(gateBlocks),
                    .int(max(blocks / max(gateBlocks, 1), 1)), .int(tileCount), .int(problem.tokenCount), .int(queryHeads),
                    .int(keyHeads), .int(magnitudes == nil ? problem.keyWidth : 1), .int(window), .part(isNeeded),
                ], startsEarly: isNeeded != nil))
    }

    /// Rows that the kernels read and that are not as they were given.
    ///
    /// - Parameter startsEarly: whether it starts while rows are measured. A kernel that starts while this one is under way must then
    ///   wait for the end of this one before it reads what comes of either.
    func convert(
        _ inputs: PassInputs, _ prepared: PreparedInputs, startsEarly: Bool = false
    ) throws(PowerAttentionError) {
        let (keyHeads, queryHeads) = (problem.keyHeads, problem.queryHeads)
        let isConverted = prepared.queries.scaled != nil
        let converted = isConverted ? queryHeads + (plan.keepsValues ? 1 : 2) * keyHeads : 0
        try context.launch(
            KernelLaunch(
                kernels.convertInputs, grid: .init(min(preparationTileCount, conversionBlocks(converted)), converted),
                threads: PreparationConfiguration.threads,
                arguments: [
                    .pointer(inputs.q), .pointer(inputs.k), .pointer(inputs.v), .pointer(prepared.queries.scaled),
                    .pointer(prepared.keys.scaled), .pointer(plan.keepsValues ? nil : prepared.values),
                    .memory(prepared.queryExponents), .part(prepared.keyExponents), .part(prepared.isScaled),
                    .memory(preparationTiles), .int(preparationTileCount), .int(queryHeads), .int(keyHeads),
                    .int(problem.keyWidth), .int(problem.valueWidth),
                ], startsEarly: startsEarly))
    }

    /// Numbers that start from zero: whether queries, and keys, are scaled, whether that is needed, the keys that are known, and the
    /// exponents of chunks.
    var preparationNumbers: Int { 3 + pairs + schedule.chunks.count * problem.keyHeads }

    /// Whether rows have to be scaled: what a kernel finds that tries them as they were given.
    func needsScaling(_ progress: Progress) -> DevicePart { progress.others(from: 2) }

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
