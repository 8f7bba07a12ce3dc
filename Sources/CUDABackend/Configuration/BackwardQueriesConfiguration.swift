/// The tiles of `attention/backward_queries.cu`.
struct BackwardQueriesConfiguration: Sendable, Hashable {
    let widthTile, warps, keys, features, stages: Int
    let hasStates: Bool
    let sharedBytes: Int
    /// Blocks that a multiprocessor shall hold at once: what the compiler may give a thread follows from it.
    let blocks: Int

    /// Queries of a block.
    var rows: Int { warps * 16 }

    var macros: [(String, Int)] {
        [
            ("WIDTH_TILE", widthTile), ("WARPS", warps), ("ROW_TILES", 1), ("KEYS", keys), ("FEATURES", features),
            ("STAGES", stages), ("BLOCKS", blocks), ("STATES", hasStates ? 1 : 0),
        ]
    }

    init?(_ problem: KernelProblem, hasStates: Bool, sharedLimit: Int) {
        let isBfloat16 = problem.precision == .bfloat16
        let widthTile = KernelProblem.tile(
            of: problem.width, atMost: isBfloat16 ? 128 : problem.precision == .float64 ? 32 : 64)
        let largestKeys = isBfloat16 && widthTile <= 64 ? 64 : problem.precision == .float64 ? 16 : 32
        for (warps, stages) in [(4, 2), (4, 1), (2, 1), (1, 1)] {
            for keys in [largestKeys, 16] where (warps * 16).isMultiple(of: keys) {
                let rows = warps * 16
                let bytes = problem.precision.elementBytes
                let (queryBytes, valueBytes) = ((problem.width + 8) * bytes, (problem.valueWidth + 8) * bytes)
                let gradientBytes = hasStates ? rows * (problem.width + 4) * problem.precision.accumulatorBytes : 0
                let keyBytes = keys * (queryBytes + valueBytes + 12)
                for features in [64, 32, 16] {
                    let stateBytes = hasStates ? features * valueBytes : 0
                    let total = rows * (queryBytes + valueBytes) + gradientBytes + stages * max(keyBytes, stateBytes)
                    guard total <= sharedLimit else { continue }
                    self.widthTile = widthTile
                    self.warps = warps
                    self.keys = keys
                    self.features = features
                    self.stages = stages
                    self.hasStates = hasStates
                    sharedBytes = total
                    blocks = isBfloat16 && widthTile <= 64 ? 3 : 1
                    return
                }
            }
        }
        return nil
    }
}
