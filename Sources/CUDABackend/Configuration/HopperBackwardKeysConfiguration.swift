/// The tiles of `hopper/backward_keys.cu`.
struct HopperBackwardKeysConfiguration: Sendable, Hashable {
    /// Warpgroups that multiply, 64 keys each; one more brings what they need.
    let groups: Int
    let features = 64
    let queries, stages: Int
    /// Tiles of keys in shared memory: one in use, and one under way where there is room.
    let keyTiles: Int
    /// Words of features in shared memory.
    let words: Int
    let hasStates: Bool
    let sharedBytes: Int

    /// Keys of a tile.
    var rows: Int { groups * 64 }
    var threads: Int { (groups + 1) * 128 }

    func macros(_ problem: KernelProblem) -> [(String, Int)] {
        [
            ("VALUE_WIDTH", problem.valueWidth), ("GROUPS", groups), ("QUERIES", queries), ("FEATURES", features),
            ("STAGES", stages), ("KEY_TILES", keyTiles), ("STATES", hasStates ? 1 : 0), ("WORDS", words),
        ]
    }

    /// `nil` where other kernels serve the problem.
    init?(_ problem: KernelProblem, hasStates: Bool, limits: CardLimits) {
        guard limits.multiplyByWarpgroups(problem) else { return nil }
        func bytes(_ rows: Int, _ columns: Int) -> Int { 2 * Panels.numbers(rows, columns) }
        func bothBytes(_ rows: Int) -> Int { bytes(rows, problem.width) + bytes(rows, problem.valueWidth) }
        // Sums of wide rows take the registers of a third warpgroup, and of half of the scores.
        let widest = max(problem.width, problem.valueWidth)
        groups = widest > 32 ? 2 : 3
        queries = widest > 64 || (groups == 3 && widest > 16) ? 32 : 64
        self.hasStates = hasStates
        words = hasStates ? problem.sharedFeatureWords : 0
        let rows = groups * 64
        let layout = SymmetricStateLayout(problem)
        let state = hasStates ? layout.map { 2 * $0.windowStage } ?? bytes(features, problem.valueWidth + 8) : 0
        let stage = max(bothBytes(queries), state) + 16 * queries + 16
        let tile = bothBytes(rows) + 8 * (rows + 2) + ItemQueue.slotBytes
        let waiting = layout.map { 4 * rows * $0.waitingSums } ?? problem.stateGradientBytes(rows)
        let featureBytes = hasStates ? waiting + problem.pairBytes(rows) + 4 * words : 0
        let others = 32 * groups * queries + featureBytes
        for keyTiles in [2, 1] {
            let stages = min((limits.sharedBytes - others - keyTiles * tile) / stage, 8)
            guard stages >= (keyTiles == 2 ? 4 : 3) else { continue }
            self.keyTiles = keyTiles
            self.stages = stages
            sharedBytes = others + keyTiles * tile + stages * stage
            return
        }
        return nil
    }
}
