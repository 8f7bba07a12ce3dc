/// The tiles of `hopper/forward.cu`.
struct HopperForwardConfiguration: Sendable, Hashable {
    /// Warpgroups that multiply, 64 queries each; one more brings what they need.
    let groups = 2
    let keys, features, stages: Int
    let hasStates: Bool
    let sharedBytes: Int

    /// Queries of a tile.
    var rows: Int { groups * 64 }
    var threads: Int { (groups + 1) * 128 }

    func macros(_ problem: KernelProblem) -> [(String, Int)] {
        [
            ("VALUE_WIDTH", problem.valueWidth), ("GROUPS", groups), ("KEYS", keys), ("FEATURES", features), ("STAGES", stages),
            ("STATES", hasStates ? 1 : 0),
        ]
    }

    /// `nil` where other kernels serve the problem.
    init?(_ problem: KernelProblem, hasStates: Bool, limits: CardLimits) {
        guard limits.isHopper, problem.precision == .bfloat16, problem.degree > 0, problem.width <= 128,
            [16, 32, 64, 128].contains(problem.valueWidth)
        else { return nil }
        let columns = problem.valueWidth + 8
        for (keys, features, stages) in [(64, 64, 4), (64, 64, 3)] {
            let stage = 2 * (keys * columns + max(keys * problem.width, hasStates ? features * columns : 0))
            let stageNumbers = keys * (8 + 4 * groups) + features / 16 * 4
            let rows = groups * 64
            let bytes = 2 * rows * (2 * problem.width + 8) + stages * (stage + stageNumbers) + 8 * (2 + 2 * stages)
            guard bytes <= limits.sharedBytes else { continue }
            self.keys = keys
            self.features = features
            self.stages = stages
            self.hasStates = hasStates
            sharedBytes = bytes
            return
        }
        return nil
    }
}
