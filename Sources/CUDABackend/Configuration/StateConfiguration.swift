/// How the states between the chunks are made in one direction: from the first chunk to the last, or in reverse.
struct StateConfiguration: Sendable, Hashable {
    private let tiles: StateUpdateConfiguration
    /// Takes the place of `tiles` where the card and the problem allow it.
    private let hopperTiles: HopperStateUpdateConfiguration?

    /// - Parameter byWarpgroups: whether warpgroups may multiply.
    ///
    /// `nil` where the smallest tiles do not fit in shared memory.
    init?(_ problem: KernelProblem, work: StateWork, reverse: Bool, byWarpgroups: Bool, limits: CardLimits) {
        guard let tiles = StateUpdateConfiguration(problem, work: work, reverse: reverse, limits: limits) else { return nil }
        self.tiles = tiles
        hopperTiles =
            byWarpgroups ? HopperStateUpdateConfiguration(problem, work: work, reverse: reverse, limits: limits) : nil
    }

    /// Whether warpgroups multiply.
    var isHopper: Bool { hopperTiles != nil }
    /// Whether blocks sum single chunks, and a scan adds them up: see ``StateWork``.
    var isSplit: Bool { hopperTiles?.isSplit ?? tiles.isSplit }
    /// The blocks of a state of so many features.
    func stateBlocks(_ features: Int) -> Int {
        hopperTiles?.stateBlocks(features) ?? (features + tiles.features - 1) / tiles.features
    }
    var threads: Int { hopperTiles?.threads ?? tiles.threads }
    var sharedBytes: Int { hopperTiles?.sharedBytes ?? tiles.sharedBytes }
    /// Blocks that share the columns of the values.
    func valueBlocks(_ problem: KernelProblem) -> Int { isHopper ? 1 : problem.valueWidth / tiles.valueTile }
    func macros(_ problem: KernelProblem) -> [(String, Int)] { hopperTiles?.macros(problem) ?? tiles.macros }
}
