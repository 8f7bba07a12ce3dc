/// The tiles of `state/update.cu`.
struct StateUpdateConfiguration: Sendable, Hashable {
    let valueTile, warps, rowTiles, tokens, stages: Int
    let sharedBytes: Int
    /// Blocks that a multiprocessor shall hold at once: what the compiler may give a thread follows from it.
    let blocks: Int

    /// Features of a block.
    var features: Int { warps * rowTiles * 16 }

    var macros: [(String, Int)] {
        [
            ("VALUE_TILE", valueTile), ("WARPS", warps), ("ROW_TILES", rowTiles), ("TOKENS", tokens), ("STAGES", stages),
            ("BLOCKS", blocks),
        ]
    }

    /// - Parameter fewBlocks: whether blocks of twice the features would leave multiprocessors idle.
    init?(_ problem: KernelProblem, fewBlocks: Bool, sharedLimit: Int) {
        let isBfloat16 = problem.precision == .bfloat16
        let valueTile = KernelProblem.tile(of: problem.valueWidth, atMost: isBfloat16 ? 128 : 64)
        let rowTiles = isBfloat16 && !fewBlocks ? 2 : 1
        for (tokens, stages) in [(64, 2), (32, 2), (32, 1), (16, 1)] {
            let bytes = stages * tokens * ((problem.width + 8 + valueTile + 8) * problem.precision.elementBytes + 8)
            guard bytes <= sharedLimit else { continue }
            self.valueTile = valueTile
            warps = 4
            self.rowTiles = rowTiles
            self.tokens = tokens
            self.stages = stages
            sharedBytes = bytes
            blocks = isBfloat16 && valueTile <= 64 ? (rowTiles == 1 ? 4 : 3) : 1
            return
        }
        return nil
    }
}
