/// The tiles of `hopper/state_update.cu`.
struct HopperStateUpdateConfiguration: Sendable, Hashable {
    /// Warpgroups that multiply, and the tiles of 64 features of each.
    let groups, tiles: Int
    /// Tokens of a stage, and how many fragments of 16 are multiplied at once.
    let tokens, depth: Int
    let stages: Int
    /// The blocks of 16 features of a warp that leave at once by way of shared memory, where states are panels: one where room is scarce.
    let storedBlocks: Int
    let sharedBytes: Int
    /// Whether blocks sum single chunks: see ``StateWork``.
    let isSplit: Bool

    /// Warpgroups that multiply the normalizer, each a tile of 64 of its rows: at degree 2, where values with one more column would take one more
    /// panel.
    private let normalizerTiles: Int

    /// The blocks of a state of so many features.
    func stateBlocks(_ features: Int) -> Int {
        ((features + 64 * tiles - 1) / (64 * tiles) + normalizerTiles + groups - 1) / groups
    }

    var threads: Int { (groups + 1) * 128 }

    func macros(_ problem: KernelProblem) -> [(String, Int)] {
        [
            ("VALUE_WIDTH", problem.valueWidth), ("GROUPS", groups), ("TILES", tiles), ("TOKENS", tokens), ("DEPTH", depth),
            ("STAGES", stages), ("STORED_BLOCKS", storedBlocks),
        ]
    }

    /// `nil` where other kernels serve the problem.
    init?(_ problem: KernelProblem, work: StateWork, reverse: Bool, limits: CardLimits) {
        guard limits.multiplyByWarpgroups(problem) else { return nil }
        let shares = Self.tileCounts(problem, work: work).flatMap { tiles in
            Self.groupCounts(problem, tiles: tiles).map { (groups: $0, tiles: tiles) }
        }
        let blocks = shares.map { Self.block(problem, groups: $0.groups, tiles: $0.tiles, work: work, limits: limits) }
        // At p = 2 sums of single chunks by three warpgroups take longer than is reckoned here: four heads of 64 took a quarter longer.
        let split = blocks.indices.filter { problem.degree > 2 || shares[$0].groups < 3 }.map { blocks[$0] }
        guard let (block, isSplit) = work.fastest(blocks, split: split, reverse: reverse),
            let choice = blocks.firstIndex(of: block)
        else { return nil }
        (groups, tiles) = shares[choice]
        self.isSplit = isSplit
        normalizerTiles = Self.normalizerTiles(problem)
        storedBlocks = SymmetricStateLayout(problem) == nil ? 0 : groups == 3 ? 1 : tiles
        let stored = 2 * 4 * groups * storedBlocks * Panels.numbers(16, problem.valueWidth)
        for tokens in Self.tokenCounts(problem, tiles: tiles, work: work) {
            // Vectors, as they are and turned, values and factors, what belongs to a chunk, and two barriers; one more that a state is stored.
            let columns = Panels.numbers(tokens, problem.width) + Panels.numbers(tokens, Self.columns(problem))
            let turned = problem.degree > 2 ? tokens * problem.width : 0
            let factors = tokens * (reverse && normalizerTiles > 0 ? 2 : 1)
            let stage = 2 * (columns + turned + factors) + 24 + 16
            let stages = min((limits.sharedBytes - stored - 8) / stage, 8)
            guard stages >= (tokens == 128 ? 4 : 3) else { continue }
            self.tokens = tokens
            // Registers of three warpgroups are few.
            depth = tiles == 8 ? 1 : groups < 3 ? tokens / 32 : tiles == 4 ? 1 : 2
            self.stages = stages
            sharedBytes = stages * stage + stored + 8
            return
        }
        return nil
    }

    private static func normalizerTiles(_ problem: KernelProblem) -> Int {
        guard problem.degree == 2, problem.valueWidth.isMultiple(of: 64) else { return 0 }
        return (problem.width + 63) / 64 * ((problem.width + problem.valueWidth - 1) / problem.valueWidth)
    }

    /// What a feature is multiplied with: values, and for the normalizer eight more, of which one counts.
    private static func columns(_ problem: KernelProblem) -> Int {
        problem.valueWidth + (normalizerTiles(problem) > 0 ? 0 : 8)
    }

    /// The tokens of a stage, the best first. The features of half of them are in registers, beside sums of so many columns. The more products
    /// there are between two waits the better, but a chunk ends with a stage of its own.
    private static func tokenCounts(_ problem: KernelProblem, tiles: Int, work: StateWork) -> [Int] {
        tiles == 2 && problem.valueWidth <= 64 && work.chunkSize.isMultiple(of: 128) ? [128, 64] : [64]
    }

    /// How many tiles a warpgroup may have: no more than there are, and fewer where sums of wide values, or many factors, take the registers.
    /// From degree 2 on four read the same factors of their features. Where there are no more than 16 last factors, fours that come one after another
    /// have those and mostly the first ones in common, and two of them load less than each by itself.
    private static func tileCounts(_ problem: KernelProblem, work: StateWork) -> [Int] {
        let pairsFours = problem.degree > 2 && problem.width == 16 && problem.valueWidth <= 16
        let most =
            if pairsFours {
                8
            } else if problem.valueWidth > 64 {
                problem.degree > 2 ? 1 : 2
            } else {
                problem.valueWidth > 32 || problem.degree == 1 ? 2 : 4
            }
        let counts = [8, 4, 2].filter { $0 <= most && 64 * $0 <= work.features }
        return counts.isEmpty ? [1] : counts
    }

    /// How many warpgroups a block may have. The third finds registers beside the features of few tokens, where sums are of few columns and, above
    /// degree 2, four tiles share their factors. There the warpgroup that fills stages has registers for rows of one kind of pieces.
    private static func groupCounts(_ problem: KernelProblem, tiles: Int) -> [Int] {
        let hasThird =
            problem.degree <= 2
            ? tiles == 2 && problem.valueWidth == 64
            : tiles == 4 && (problem.degree == 3 || problem.valueWidth <= 16) && problem.width.nonzeroBitCount == 1
        return hasThird ? [3, 2, 1] : [2, 1]
    }

    /// A block has a multiprocessor to itself, and takes as long as its products and the loads of its factors, but no less than a warpgroup
    /// takes that waits for its own: 290 ns for 64 tokens, two tiles and 72 columns. The tiles of a warpgroup share the loads, which take as
    /// long as 160 columns, for two fours of tiles as long as 220. A third warpgroup takes less long than the second, and above degree 2, where
    /// every one waits as long as it works, so does the second.
    private static func block(
        _ problem: KernelProblem, groups: Int, tiles: Int, work: StateWork, limits: CardLimits
    ) -> StateWork.Block {
        let shares = problem.degree > 2 ? Double(groups + 1) * 2 / 3 : [1.2, 2, 2.6][groups - 1]
        let loads = tiles == 8 ? 220 : 160
        return StateWork.Block(
            features: 64 * groups * tiles, others: 64 * tiles * normalizerTiles(problem), slots: limits.multiprocessors,
            tileTime: 290 * shares * Double(loads + tiles * columns(problem)) / (160 + 144))
    }
}
