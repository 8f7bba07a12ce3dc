package import BackendInterface
package import CUDARuntime
package import Tensors

/// How a card serves one problem: its tokens cut into chunks, and the kernels that fit. A pure function of the problem and of the card's
/// properties, known before anything is compiled or allocated.
package struct AttentionPlan: Sendable {
    /// The problem as the kernels take it: see ``conditioned(_:)``.
    package let problem: AttentionProblem
    package let dataType: DataType
    package let kernels: AttentionKernels
    let schedule: Schedule
    let hasInitialState: Bool
    /// Whether a sequence has more than one chunk: a state passes between them.
    let hasChunks: Bool

    /// - Parameters:
    ///   - hasInitialState: whether the sequences start with states.
    ///   - hasFinalGradient: whether the gradient of a final state will be given.
    /// - Throws: `PowerAttentionError` where the card cannot serve the problem.
    package init(
        _ problem: AttentionProblem, dataType: DataType, isGated: Bool, hasInitialState: Bool, hasFinalGradient: Bool,
        on limits: CardLimits
    ) throws(PowerAttentionError) {
        try Self.check(problem)
        let problem = Self.conditioned(problem)
        let schedule = Schedule(problem.sequences, chunkSize: problem.chunkSize)
        let hasChunks = schedule.sequences.contains { $0.y > 1 }
        let queryBlocks = problem.tokenCount / 128 * problem.queryHeads
        self.problem = problem
        self.dataType = dataType
        self.schedule = schedule
        self.hasInitialState = hasInitialState
        self.hasChunks = hasChunks
        kernels = try AttentionKernels(
            KernelProblem(problem, dataType: dataType, isGated: isGated),
            states: .init(queries: hasChunks || hasInitialState, keys: hasChunks || hasFinalGradient),
            fewTokens: queryBlocks < 2 * limits.multiprocessors, work: StateWork(problem), limits: limits)
    }

    /// Whether the kernels of queries and keys turn their gradients back: those of warpgroups do, where rows have no columns behind them.
    var turnsGradients: Bool {
        kernels.hopperBackwardQueries != nil && kernels.hopperBackwardKeys != nil && problem.keyWidth == kernels.problem.width
    }

    /// Whether scratch memory has the type of the inputs.
    private var isScratchType: Bool { dataType == .float32 || kernels.problem.precision == .bfloat16 }
    /// Whether rows of values, and of gradients of outputs, already are as the kernels read them; and those of queries and keys as well.
    var keepsValues: Bool { isScratchType && kernels.problem.keepsValueWidth }
    var keepsVectors: Bool { keepsValues && problem.keyWidth == kernels.problem.width }

    /// Whether a call forward that is not asked for a final state tries rows of queries and keys as they were given, before anybody has measured
    /// them, and scales them only where one has a large number, or the sum of weights of a row is small. Weights of even powers are not negative:
    /// what falls below the range counts for nothing beside an ordinary sum. Where states are read, those of a chunk have the exponent of its
    /// keys, which has to be known.
    package var triesGivenRows: Bool {
        guard let forward = kernels.hopperForward, let queries = kernels.hopperBackwardQueries,
            let keys = kernels.hopperBackwardKeys, kernels.problem.isNormalized, keepsVectors
        else { return false }
        return !forward.hasStates && !queries.hasStates && !keys.hasStates
    }

    /// Rows of weights contribute to the gradients of gates where nothing normalizes them.
    var needsRowSums: Bool { kernels.problem.isGated && problem.degree != nil && problem.normalization == .none }

    /// The kernels of one call forward and one back.
    ///
    /// - Parameter movesState: whether a state goes in or out.
    package func sources(movesState: Bool) -> [KernelSource] {
        kernels.sources(backward: true, movesState: hasChunks || movesState) + (movesState ? kernels.exchange : [])
    }

    /// The limits of a grid and of 32-bit indices.
    static func check(_ problem: AttentionProblem) throws(PowerAttentionError) {
        func limit(_ argument: String, _ name: String, _ value: Int, _ limit: Int) throws(PowerAttentionError) {
            guard value <= limit else {
                throw PowerAttentionError(
                    .unsupported, argument: argument, given: "\(value) \(name)", expected: "at most \(limit) on a GPU")
            }
        }
        try limit("q", "tokens", problem.tokenCount, Int(Int32.max) - 4096)
        try limit("q", "query heads and twice the key heads", problem.queryHeads + 2 * problem.keyHeads, 65_535)
        if problem.degree != nil { try limit("q", "sequences", problem.sequences.count, 65_535) }
        try limit("q", "columns of all heads", problem.keyHeads * ((problem.valueWidth + 15) / 16), 65_535)
    }

    /// The problem as the kernels take it: the attention form is one chunk. Chunks have at least 16 tokens, because sums over features
    /// of the few keys of a shorter first chunk cancel where a query is nearly orthogonal to them.
    static func conditioned(_ problem: AttentionProblem) -> AttentionProblem {
        var problem = problem
        let longest = max(problem.sequences.map(\.count).max() ?? 0, 1)
        if problem.form == .attention { problem.chunkSize = longest }
        problem.chunkSize = max(min(problem.chunkSize, longest), 16)
        return problem
    }
}

extension AttentionProblem {
    /// φ of the keys, where the mechanism has one.
    var expansion: SymmetricPower? {
        degree.map { SymmetricPower(degree: $0, width: keyWidth, tile: tile) }
    }
}
