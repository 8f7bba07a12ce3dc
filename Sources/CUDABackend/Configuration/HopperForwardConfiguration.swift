import Foundation

/// The tiles of `hopper/forward.cu`.
struct HopperForwardConfiguration: Sendable, Hashable {
    /// Warpgroups that multiply, 64 queries each; one more brings what they need.
    let groups, keys, features, stages: Int
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
        let (keys, features) = (Int(Foundation.ProcessInfo.processInfo.environment["K"] ?? "128")!, 64)
        // Panels leave one row out.
        func numbers(_ rows: Int, _ columns: Int) -> Int { (rows + 1) * columns }
        let env = Foundation.ProcessInfo.processInfo.environment
        let wide = problem.width > 64 || problem.valueWidth > 64
        for groups in wide ? [2] : [Int(env["G"] ?? "3")!] {
            for stages in stride(from: Int(env["ST"] ?? "8")!, through: 3, by: -1) {
                let stage = 2 * (numbers(keys, columns) + max(numbers(keys, problem.width), hasStates ? numbers(features, columns) : 0))
                let stageNumbers = keys * 12
                let rows = groups * 64
                let bytes = 4 * numbers(rows, problem.width) + 16 * rows + stages * (stage + stageNumbers) + 8 * (2 + 2 * stages)
                guard bytes <= limits.sharedBytes else { continue }
                self.groups = groups
                self.keys = keys
                self.features = features
                self.stages = stages
                self.hasStates = hasStates
                sharedBytes = bytes
                return
            }
        }
        return nil
    }
}
