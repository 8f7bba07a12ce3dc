/// The tiles of `attention/backward_keys.cu`.
struct BackwardKeysConfiguration: Sendable, Hashable {
    let widthTile, valueTile, warps, queries, features, stages: Int
    let hasStates: Bool
    let sharedBytes: Int
    /// Blocks that a multiprocessor shall hold at once: what the compiler may give a thread follows from it.
    let blocks: Int

    /// Keys of a block.
    var rows: Int { warps * 16 }

    var macros: [(String, Int)] {
        [
            ("WIDTH_TILE", widthTile), ("VALUE_TILE", valueTile), ("WARPS", warps), ("QUERIES", queries),
            ("FEATURES", features), ("STAGES", stages), ("BLOCKS", blocks), ("STATES", hasStates ? 1 : 0),
        ]
    }

    init?(_ problem: KernelProblem, hasStates: Bool, sharedLimit: Int) {
        let limit = problem.precision == .float64 ? 32 : 64
        let (widthTile, valueTile) = (
            KernelProblem.tile(of: problem.width, atMost: limit), KernelProblem.tile(of: problem.valueWidth, atMost: limit)
        )
        let largestQueries = problem.precision == .bfloat16 ? 32 : 16
        for (warps, stages) in [(4, 2), (4, 1), (2, 1), (1, 1)] {
            for queries in [largestQueries, 16] where (warps * 16).isMultiple(of: queries) {
                let rows = warps * 16
                let bytes = problem.precision.elementBytes
                let (keyBytes, valueBytes) = ((problem.width + 8) * bytes, (problem.valueWidth + 8) * bytes)
                let gradientBytes = hasStates ? rows * (problem.width + 4) * problem.precision.accumulatorBytes : 0
                let queryBytes = queries * (keyBytes + valueBytes + 24)
                for features in [64, 32, 16] {
                    let stateBytes = hasStates ? features * valueBytes : 0
                    let total = rows * (keyBytes + valueBytes) + gradientBytes + stages * max(queryBytes, stateBytes)
                    guard total <= sharedLimit else { continue }
                    self.widthTile = widthTile
                    self.valueTile = valueTile
                    self.warps = warps
                    self.queries = queries
                    self.features = features
                    self.stages = stages
                    self.hasStates = hasStates
                    sharedBytes = total
                    blocks = problem.precision == .bfloat16 && problem.degree > 1 && widthTile <= 64 && valueTile <= 64 ? 3 : 1
                    return
                }
            }
        }
        return nil
    }
}
