/// The tiles of `hopper/backward_queries.cu`.
struct HopperBackwardQueriesConfiguration: Sendable, Hashable {
    /// Warpgroups that multiply, 64 queries each; one more brings what they need.
    let groups: Int
    /// Keys and features of a stage.
    let keys = 64, features = 64
    /// Stages of keys, values or states, and tiles of queries that are in shared memory at once.
    let stages, queryStages: Int
    /// Words of features in shared memory.
    let words: Int
    let hasStates: Bool
    let sharedBytes: Int

    /// Queries of a tile.
    var rows: Int { groups * 64 }
    /// Those of a warpgroup.
    var step: Int { 64 }
    var threads: Int { (groups + 1) * 128 }

    func macros(_ problem: KernelProblem) -> [(String, Int)] {
        [
            ("GROUPS", groups), ("KEYS", keys), ("FEATURES", features), ("STAGES", stages), ("QUERY_STAGES", queryStages),
            ("STATES", hasStates ? 1 : 0), ("WORDS", words),
        ]
    }

    /// `nil` where other kernels serve the problem.
    init?(_ problem: KernelProblem, hasStates: Bool, limits: CardLimits) {
        guard limits.multiplyByWarpgroups(problem) else { return nil }
        func bytes(_ rows: Int, _ columns: Int) -> Int { 2 * Panels.numbers(rows, columns) }
        // Sums of wide queries and rows of wide gradients take the registers of a third warpgroup.
        groups = problem.width > 64 || problem.valueWidth > 64 ? 2 : 3
        self.hasStates = hasStates
        words = hasStates ? problem.sharedFeatureWords : 0
        let layout = SymmetricStateLayout(problem)
        let stage =
            max(
                bytes(keys, problem.width) + bytes(keys, problem.valueWidth),
                hasStates ? layout.map { 2 * $0.windowStage } ?? bytes(features, problem.valueWidth + 8) : 0) + 12 * keys + 16
        let queries = groups * (bytes(64, problem.width) + bytes(64, problem.valueWidth) + 64 * 8) + ItemQueue.slotBytes
        let featureBytes = hasStates ? problem.stateGradientBytes(groups * 64) + problem.pairBytes(groups * 64) + 4 * words : 0
        let others = featureBytes + groups * 64 * 8
        func stagesBeside(_ queryStages: Int) -> Int {
            min((limits.sharedBytes - others - queryStages * queries) / stage, 8)
        }
        queryStages = stagesBeside(2) >= 3 ? 2 : 1
        stages = stagesBeside(queryStages)
        sharedBytes = others + queryStages * queries + stages * stage
        if stages < 2 { return nil }
    }
}
