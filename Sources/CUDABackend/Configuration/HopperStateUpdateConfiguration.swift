/// The tiles of `hopper/state_update.cu`.
struct HopperStateUpdateConfiguration: Sendable, Hashable {
    /// Warpgroups that multiply, and the tiles of 64 features of each.
    let groups, tiles: Int
    let tokens = 64
    let stages: Int
    let sharedBytes: Int
    /// Whether blocks sum single chunks: see ``StateWork``.
    let isSplit: Bool

    /// Features of a block.
    var features: Int { 64 * groups * tiles }
    var threads: Int { (groups + 1) * 128 }

    func macros(_ problem: KernelProblem) -> [(String, Int)] {
        [
            ("VALUE_WIDTH", problem.valueWidth), ("GROUPS", groups), ("TILES", tiles), ("TOKENS", tokens), ("STAGES", stages),
        ]
    }

    /// `nil` where other kernels serve the problem.
    init?(_ problem: KernelProblem, work: StateWork, reverse: Bool, limits: CardLimits) {
        guard limits.multiplyByWarpgroups(problem), [16, 32, 64, 128].contains(problem.valueWidth) else { return nil }
        // Two tiles of a warpgroup read the same factors of their features; sums of wide values take the second one's registers.
        let tiles = problem.valueWidth > 64 || work.features <= 64 ? 1 : 2
        // A block has a multiprocessor to itself, and takes as long as its products, but no less than a warpgroup takes that waits for its
        // own: 290 ns for 64 tokens, two tiles and 72 columns.
        let blocks = [2, 1].map { groups in
            StateWork.Block(
                features: 64 * groups * tiles, slots: limits.multiprocessors,
                tileTime: 290 * max(Double(groups), 1.2) * Double(tiles * work.stride) / 144)
        }
        guard let (block, isSplit) = work.fastest(blocks, reverse: reverse) else { return nil }
        self.tiles = tiles
        self.isSplit = isSplit
        groups = block.features / (64 * tiles)
        // Vectors and values, what belongs to a chunk, and two barriers.
        let stage = 2 * (Panels.numbers(tokens, problem.width) + Panels.numbers(tokens, problem.valueWidth + 8)) + 24 + 16
        let stored = SymmetricStateLayout(problem) == nil ? 0 : 2 * 4 * groups * Panels.numbers(16, problem.valueWidth)
        stages = min((limits.sharedBytes - stored) / stage, 8)
        sharedBytes = stages * stage + stored
        if stages < 3 { return nil }
    }
}
