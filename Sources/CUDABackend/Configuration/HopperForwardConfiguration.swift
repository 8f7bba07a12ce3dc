/// The tiles of `hopper/forward.cu`.
struct HopperForwardConfiguration: Sendable, Hashable {
    /// Warpgroups that multiply, 64 queries each of every set; one more brings what they need.
    let groups, rowSets: Int
    let keys, features, stages: Int
    /// Where the values of a stage stand, in numbers.
    let valuePlace: Int
    /// Words of features in shared memory.
    let words: Int
    let hasStates: Bool
    let sharedBytes: Int

    /// Queries of a tile.
    var rows: Int { groups * 64 * rowSets }
    /// Those of a warpgroup; sets are whole.
    var step: Int { rowSets > 1 ? rows : 64 }
    var threads: Int { (groups + 1) * 128 }

    func macros(_ problem: KernelProblem) -> [(String, Int)] {
        [
            ("VALUE_WIDTH", problem.valueWidth), ("GROUPS", groups), ("ROW_SETS", rowSets), ("KEYS", keys),
            ("FEATURES", features), ("STAGES", stages), ("VALUE_PLACE", valuePlace), ("STATES", hasStates ? 1 : 0),
            ("WORDS", words),
        ]
    }

    /// `nil` where other kernels serve the problem.
    ///
    /// - Parameter fewTokens: whether tiles of twice the queries would leave multiprocessors idle.
    init?(_ problem: KernelProblem, hasStates: Bool, fewTokens: Bool, limits: CardLimits) {
        guard limits.multiplyByWarpgroups(problem) else { return nil }
        let columns = problem.valueWidth + 8
        // Sums of wide values take the registers of a third warpgroup.
        groups = problem.width > 64 || problem.valueWidth > 64 ? 2 : 3
        keys = 64
        features = 64
        self.hasStates = hasStates
        words = hasStates ? problem.sharedFeatureWords : 0
        // Where features are made, and rows are narrow enough to leave the registers, two share what a warp does for 64 features.
        let isNarrow = max(problem.width, problem.valueWidth) <= 32
        rowSets = hasStates && problem.degree > 2 && isNarrow && !fewTokens ? 2 : 1
        let rows = groups * 64 * rowSets
        // A tile of a state takes the place of keys and of whole panels of values, where it needs more than there are room before them.
        let stateTile = hasStates ? SymmetricStateLayout(problem)?.largestTile ?? 0 : 0
        valuePlace = max(Panels.numbers(keys, problem.width), stateTile - keys * (problem.valueWidth / 64 * 64))
        let stage = 2 * (valuePlace + Panels.numbers(keys, columns)) + keys * 12
        let others =
            4 * Panels.numbers(rows, problem.width) + 16 * rows + 2 * ItemQueue.slotBytes + 4 * words
            + (hasStates ? problem.pairBytes(rows) : 0)
        stages = min((limits.sharedBytes - others) / (stage + 16), 8)
        sharedBytes = others + stages * (stage + 16)
        if stages < 3 { return nil }
    }
}
