/// The tiles of `attention/forward.cu`: a pure function of the problem and of the shared memory that a block may have.
struct ForwardConfiguration: Sendable, Hashable {
    let valueTile, warps, rowTiles, keys, features, stages: Int
    let hasStates: Bool
    let sharedBytes: Int
    /// Blocks that a multiprocessor shall hold at once: what the compiler may give a thread follows from it.
    let blocks: Int

    /// Queries of a block.
    var rows: Int { warps * rowTiles * 16 }

    var macros: [(String, Int)] {
        [
            ("VALUE_TILE", valueTile), ("WARPS", warps), ("ROW_TILES", rowTiles), ("KEYS", keys), ("FEATURES", features),
            ("STAGES", stages), ("BLOCKS", blocks), ("STATES", hasStates ? 1 : 0),
        ]
    }

    /// - Parameter fewTokens: whether blocks of twice the queries would leave multiprocessors idle.
    init?(_ problem: KernelProblem, hasStates: Bool, fewTokens: Bool, sharedLimit: Int) {
        let isBfloat16 = problem.precision == .bfloat16
        // Sums of a warp's tile of outputs stay in registers.
        let valueTile = KernelProblem.tile(
            of: problem.valueWidth, atMost: problem.precision == .float64 ? 64 : isBfloat16 ? 128 : 64)
        let largestKeys = isBfloat16 && valueTile <= 64 ? 64 : problem.precision == .float64 ? 16 : 32
        // The maxima of exponential attention take the registers of a second tile of rows where values are wide.
        let isCrowded = problem.degree == 0 && valueTile > 64
        let rowTiles = isBfloat16 && !fewTokens && !isCrowded ? [2, 1] : [1]
        let candidates = rowTiles.flatMap { rowTiles in
            [(4, 2), (4, 1), (2, 1), (1, 1)].flatMap { warps, stages in
                [largestKeys, 16].map { (rowTiles, warps, stages, $0) }
            }
        }
        for (rowTiles, warps, stages, keys) in candidates where warps * rowTiles * 16 % keys == 0 {
            let rows = warps * rowTiles * 16
            let bytes = problem.precision.elementBytes
            let keyBytes = keys * (problem.width + 8 + valueTile + 8) * bytes + keys * 12
            for features in [64, 32, 16] {
                let stateBytes = hasStates ? features * (valueTile + 8) * bytes : 0
                let total = rows * (problem.width + 8) * bytes + stages * max(keyBytes, stateBytes)
                guard total <= sharedLimit else { continue }
                self.valueTile = valueTile
                self.warps = warps
                self.rowTiles = rowTiles
                self.keys = keys
                self.features = features
                self.stages = stages
                self.hasStates = hasStates
                sharedBytes = total
                blocks = 1
                return
            }
        }
        return nil
    }
}
