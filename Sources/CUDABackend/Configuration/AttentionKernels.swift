package import CUDARuntime
package import Tensors

/// The kernels that serve a problem, with their tiles: a pure function of the problem and of the card's shared memory, so that what a
/// call would run can be listed, printed and compiled without a card.
package struct AttentionKernels: Sendable, Hashable {
    package let problem: KernelProblem
    let preparation: PreparationConfiguration
    let forwardTiles: ForwardConfiguration
    /// Takes the place of `forwardTiles` where the card and the problem allow it.
    let hopperForward: HopperForwardConfiguration?
    let backwardQueriesTiles: BackwardQueriesConfiguration
    /// Takes the place of `backwardQueriesTiles` where the card and the problem allow it.
    let hopperBackwardQueries: HopperBackwardQueriesConfiguration?
    let backwardKeysTiles: BackwardKeysConfiguration
    /// Takes the place of `backwardKeysTiles` where the card and the problem allow it.
    let hopperBackwardKeys: HopperBackwardKeysConfiguration?
    /// From the first chunk to the last, and in reverse; none for exponential attention.
    private let forwardStates, reverseStates: StateConfiguration?
    /// `nil` where the states between the kernels are rows of features.
    let stateLayout: SymmetricStateLayout?

    /// Which kernels read a state: queries the one before their chunk, keys the gradient of the one after it.
    package struct States: Sendable, Hashable {
        package var queries, keys: Bool

        package init(queries: Bool, keys: Bool) {
            self.queries = queries
            self.keys = keys
        }
    }

    /// - Parameters:
    ///   - fewTokens: whether blocks of many queries would leave multiprocessors idle.
    ///   - work: what there is to do when the chunks are walked.
    /// - Throws: `PowerAttentionError` where the smallest tiles do not fit in shared memory.
    package init(_ problem: KernelProblem, states: States, fewTokens: Bool, work: StateWork, limits: CardLimits)
        throws(PowerAttentionError)
    {
        let sharedLimit = limits.sharedBytes
        self.problem = problem
        preparation = PreparationConfiguration(problem)
        let hopperForward = HopperForwardConfiguration(
            problem, hasStates: states.queries, fewTokens: fewTokens, limits: limits)
        let hopperBackwardQueries = HopperBackwardQueriesConfiguration(problem, hasStates: states.queries, limits: limits)
        let hopperBackwardKeys = HopperBackwardKeysConfiguration(problem, hasStates: states.keys, limits: limits)
        // Kernels that exchange states agree on where their numbers stand.
        let layout = SymmetricStateLayout(problem)
        let hasAll =
            hopperForward != nil && hopperBackwardQueries != nil && hopperBackwardKeys != nil
            && [false, true].allSatisfy {
                HopperStateUpdateConfiguration(problem, work: work, reverse: $0, limits: limits) != nil
            }
        stateLayout = hasAll ? layout : nil
        let agree = layout == nil || hasAll
        func stateConfiguration(reverse: Bool) -> StateConfiguration? {
            problem.degree > 0
                ? StateConfiguration(problem, work: work, reverse: reverse, byWarpgroups: agree, limits: limits) : nil
        }
        forwardStates = stateConfiguration(reverse: false)
        reverseStates = stateConfiguration(reverse: true)
        // Those that read no state need not agree.
        let mayMultiply = agree || !(states.queries || states.keys)
        self.hopperForward = mayMultiply ? hopperForward : nil
        self.hopperBackwardQueries = mayMultiply ? hopperBackwardQueries : nil
        self.hopperBackwardKeys = mayMultiply ? hopperBackwardKeys : nil
        guard
            let forward = ForwardConfiguration(
                problem, hasStates: states.queries, fewTokens: fewTokens, sharedLimit: sharedLimit),
            let backwardQueries = BackwardQueriesConfiguration(problem, hasStates: states.queries, sharedLimit: sharedLimit),
            let backwardKeys = BackwardKeysConfiguration(problem, hasStates: states.keys, sharedLimit: sharedLimit),
            problem.degree == 0 || (forwardStates != nil && reverseStates != nil)
        else {
            throw PowerAttentionError(
                .unsupported, argument: "device", given: "\(sharedLimit) bytes of shared memory a block",
                expected: "enough for the tiles of d = \(problem.width), e = \(problem.valueWidth) in \(problem.dataType)")
        }
        forwardTiles = forward
        backwardQueriesTiles = backwardQueries
        backwardKeysTiles = backwardKeys
    }

    /// The numbers of a state between the kernels, of so many features.
    func stateNumbers(_ features: Int) -> Int { stateLayout?.numbers ?? features * (problem.valueWidth + 8) }

    /// The dynamic shared memory of a block of every kernel that multiplies.
    package var sharedBytes: [Int] {
        [
            hopperForward?.sharedBytes ?? forwardTiles.sharedBytes,
            hopperBackwardQueries?.sharedBytes ?? backwardQueriesTiles.sharedBytes,
            hopperBackwardKeys?.sharedBytes ?? backwardKeysTiles.sharedBytes,
        ]
            + [forwardStates, reverseStates].compactMap { $0?.sharedBytes }
    }

    func states(reverse: Bool) -> StateConfiguration? { reverse ? reverseStates : forwardStates }
    /// Whether sums of single chunks are added up, in one direction or both.
    var splitsStates: Bool { [forwardStates, reverseStates].contains { $0?.isSplit == true } }

    /// Whether a kernel reads the decays of keys to the last of 64 tokens.
    var usesDecays: Bool { hopperForward != nil || hopperBackwardQueries != nil }

    // MARK: Sources

    private func preparation(_ function: String) -> KernelSource {
        KernelSource(
            "prepare/inputs.cu", function,
            macros: problem.macros + [
                problem.normalizationMacro, ("WIDTH", problem.width), ("VALUE_WIDTH", problem.valueWidth),
                ("LANES", preparation.lanes),
            ])
    }

    var measureInputs: KernelSource { preparation("measure_inputs") }
    /// The same for the largest magnitudes of rows, in float32: each is a row of one number.
    var measureMagnitudes: KernelSource {
        KernelSource(
            "prepare/inputs.cu", "measure_inputs",
            macros: [
                ("INPUT", 0), ("MATH", 2), ("DEGREE", problem.degree), problem.normalizationMacro, ("WIDTH", 1),
                ("VALUE_WIDTH", 1), ("LANES", 1),
            ])
    }
    var convertInputs: KernelSource { preparation("convert_inputs") }
    var outputGradients: KernelSource { preparation("output_gradients") }

    private func gates(_ function: String) -> KernelSource {
        KernelSource("prepare/gates.cu", function, macros: [("INPUT", 0), ("MATH", 2), ("DEGREE", problem.degree)])
    }

    var gateSums: KernelSource { gates("gate_sums") }
    var gateGradients: KernelSource { gates("gate_gradients") }

    private func exchange(_ function: String) -> KernelSource {
        KernelSource("state/exchange.cu", function, macros: [("INPUT", 0), ("MATH", 2)])
    }

    /// What states that go in and out need besides.
    var exchange: [KernelSource] { [importState, exportState, stateProducts] }
    var importState: KernelSource { exchange("import_state") }
    var exportState: KernelSource { exchange("export_state") }
    var stateProducts: KernelSource { exchange("state_products") }

    func stateUpdate(reverse: Bool) -> KernelSource {
        let states = states(reverse: reverse)
        return KernelSource(
            states?.isHopper == true ? "hopper/state_update.cu" : "state/update.cu", "state_update",
            macros: problem.productMacros + [problem.normalizationMacro, ("REVERSE", reverse ? 1 : 0)]
                + (states?.macros(problem) ?? []))
    }

    /// What adds up the sums of single chunks.
    var scanStates: KernelSource {
        KernelSource(
            "state/scan.cu", "scan_states",
            macros: [
                ("INPUT", 0), ("MATH", problem.precision.rawValue), ("DEGREE", problem.degree),
                ("SYMMETRIC", stateLayout == nil ? 0 : 1),
            ]
                + (stateLayout == nil
                    ? [] : [("WIDTH", problem.width), ("VALUE_WIDTH", problem.valueWidth)]))
    }

    private func stateSources(reverse: Bool) -> [KernelSource] {
        guard let states = states(reverse: reverse) else { return [] }
        return [stateUpdate(reverse: reverse)] + (states.isSplit ? [scanStates] : [])
    }

    /// Queries of a tile of the forward kernel.
    var forwardRows: Int { hopperForward?.rows ?? forwardTiles.rows }
    /// The queries of a tile that are shared out at once.
    var forwardStep: Int { hopperForward?.step ?? forwardTiles.rows }

    var forward: KernelSource {
        if let tiles = hopperForward {
            return KernelSource(
                "hopper/forward.cu", "attention_forward",
                macros: problem.productMacros + [problem.normalizationMacro] + tiles.macros(problem))
        }
        return KernelSource(
            "attention/forward.cu", "attention_forward",
            macros: problem.productMacros + [problem.normalizationMacro] + forwardTiles.macros)
    }

    /// Whether the queries' kernel computes what the backward pass needs of y: rows in bfloat16, whose ∂y it reads as it is.
    var queriesBringOffsets: Bool { problem.precision == .bfloat16 && problem.isNormalized && problem.keepsValueWidth }

    /// Queries of a tile of their backward kernel, and the parts in which it leaves its sums of rows.
    var backwardQueriesRows: Int { hopperBackwardQueries?.rows ?? backwardQueriesTiles.rows }
    var backwardQueriesParts: Int { hopperBackwardQueries == nil ? problem.width / backwardQueriesTiles.widthTile : 1 }
    /// The queries of a tile that are shared out at once.
    var backwardQueriesStep: Int { hopperBackwardQueries?.step ?? backwardQueriesTiles.rows }

    var backwardQueries: KernelSource {
        KernelSource(
            hopperBackwardQueries == nil ? "attention/backward_queries.cu" : "hopper/backward_queries.cu",
            "attention_backward_queries",
            macros: problem.productMacros
                + [problem.normalizationMacro, ("VALUE_WIDTH", problem.valueWidth), ("OFFSETS", queriesBringOffsets ? 1 : 0)]
                + (hopperBackwardQueries?.macros(problem) ?? backwardQueriesTiles.macros))
    }

    /// Keys of a tile of the keys' kernel, and the parts in which it leaves its sums: one of an exponential, one a tile of columns of a power.
    var backwardKeysRows: Int { hopperBackwardKeys?.rows ?? backwardKeysTiles.rows }
    var backwardKeysParts: Int {
        problem.degree == 0 || hopperBackwardKeys != nil ? 1 : problem.width / backwardKeysTiles.widthTile
    }

    var backwardKeys: KernelSource {
        if let tiles = hopperBackwardKeys {
            return KernelSource(
                "hopper/backward_keys.cu", "attention_backward_keys",
                macros: problem.productMacros + [problem.normalizationMacro] + tiles.macros(problem))
        }
        return KernelSource(
            "attention/backward_keys.cu", "attention_backward_keys",
            macros: problem.productMacros + [problem.normalizationMacro, ("VALUE_WIDTH", problem.valueWidth)]
                + backwardKeysTiles.macros)
    }

    /// The kernels of one call forward, and of one call back.
    package func sources(backward: Bool, movesState: Bool) -> [KernelSource] {
        var sources = [convertInputs, forward]
        if problem.degree > 0 || problem.isGated { sources += [measureInputs] }
        if movesState { sources += stateSources(reverse: false) }
        guard backward else { return sources }
        sources += (queriesBringOffsets ? [] : [outputGradients]) + [backwardQueries, backwardKeys]
        if problem.isGated { sources += [gateSums, gateGradients] }
        if movesState { sources += stateSources(reverse: true) }
        return sources
    }
}
