/// The tiles of `state/update.cu`.
struct StateUpdateConfiguration: Sendable, Hashable {
    let valueTile, warps, rowTiles, tokens, stages: Int
    let sharedBytes: Int
    /// Blocks that a multiprocessor shall hold at once: what the compiler may give a thread follows from it.
    let blocks: Int
    /// Whether blocks sum single chunks: see ``StateWork``.
    let isSplit: Bool

    /// Features of a block.
    var features: Int { warps * rowTiles * 16 }
    var threads: Int { warps * 32 }

    var macros: [(String, Int)] {
        [
            ("VALUE_TILE", valueTile), ("WARPS", warps), ("ROW_TILES", rowTiles), ("TOKENS", tokens), ("STAGES", stages),
            ("BLOCKS", blocks),
        ]
    }

    init?(_ problem: KernelProblem, work: StateWork, reverse: Bool, limits: CardLimits) {
        let isBfloat16 = problem.precision == .bfloat16
        valueTile = KernelProblem.tile(of: problem.valueWidth, atMost: isBfloat16 ? 128 : 64)
        // Blocks of 64 features that a multiprocessor shares among itself, at the products of an A100: about a third of its peak.
        let shared = isBfloat16 && valueTile <= 64 ? 4 : 1
        let block = StateWork.Block(
            features: max(64 * valueTile / problem.valueWidth, 1), slots: limits.multiprocessors * shared,
            tileTime: Double(shared * 64 * 64 * 2 * (valueTile + 8)) / Self.productRate(problem.precision))
        isSplit = work.fastest([block], reverse: reverse)?.isSplit ?? false
        // Whether blocks of twice the features would leave multiprocessors idle.
        let fewBlocks =
            work.features / 128 * work.keyHeads * (isSplit ? work.chunks : work.sequences) < 4 * limits.multiprocessors
        rowTiles = isBfloat16 && !fewBlocks ? 2 : 1
        warps = 4
        blocks = isBfloat16 && valueTile <= 64 ? (rowTiles == 1 ? 4 : 3) : 1
        for (tokens, stages) in [(64, 2), (32, 2), (32, 1), (16, 1)] {
            let bytes = stages * tokens * ((problem.width + 8 + valueTile + 8) * problem.precision.elementBytes + 8)
            guard bytes <= limits.sharedBytes else { continue }
            self.tokens = tokens
            self.stages = stages
            sharedBytes = bytes
            return
        }
        return nil
    }

    /// Multiplications and additions of a multiprocessor in a nanosecond.
    private static func productRate(_ precision: Precision) -> Double {
        switch precision {
        case .bfloat16: 1000
        case .tf32: 500
        case .splitTF32: 160
        case .float64: 90
        }
    }
}
