/// The tiles of `hopper/state_update.cu`.
struct HopperStateUpdateConfiguration: Sendable, Hashable {
    /// Warpgroups that multiply, and the tiles of 64 features of each.
    let groups, tiles: Int
    let tokens = 64
    let stages: Int
    let sharedBytes: Int

    /// Features of a block.
    var features: Int { 64 * groups * tiles }
    var threads: Int { (groups + 1) * 128 }

    func macros(_ problem: KernelProblem) -> [(String, Int)] {
        [
            ("VALUE_WIDTH", problem.valueWidth), ("GROUPS", groups), ("TILES", tiles), ("TOKENS", tokens), ("STAGES", stages),
        ]
    }

    /// `nil` where other kernels serve the problem.
    init?(_ problem: KernelProblem, work: StateWork, limits: CardLimits) {
        guard limits.multiplyByWarpgroups(problem), [16, 32, 64, 128].contains(problem.valueWidth) else { return nil }
        // Two tiles of a warpgroup read the same factors of their features; sums of wide values take the second one's registers.
        tiles = problem.valueWidth > 64 ? 1 : 2
        groups = Self.groups(tiles: tiles, work: work, multiprocessors: limits.multiprocessors)
        // Vectors and values, what belongs to a chunk, and two barriers.
        let stage = 2 * (Panels.numbers(tokens, problem.width) + Panels.numbers(tokens, problem.valueWidth + 8)) + 24 + 16
        stages = min(limits.sharedBytes / stage, 8)
        sharedBytes = stages * stage
        if stages < 3 { return nil }
    }

    /// The number of warpgroups with which the chip is done first: a block has a multiprocessor to itself, and takes as long as its products,
    /// but no less than a warpgroup takes that waits for its own.
    private static func groups(tiles: Int, work: StateWork, multiprocessors: Int) -> Int {
        func time(_ groups: Int) -> Double {
            let blocks = work.walks * ((work.features + 64 * groups * tiles - 1) / (64 * groups * tiles))
            let waves = (blocks + multiprocessors - 1) / multiprocessors
            return Double(waves) * max(Double(groups), 1.2)
        }
        return [2, 1].min { time($0) < time($1) } ?? 1
    }
}
