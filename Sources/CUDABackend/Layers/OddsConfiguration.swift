import CUDARuntime

/// How `hopper/odds.cu` cuts a product in tiles, and what its blocks take.
struct OddsConfiguration: Sendable, Hashable {
    /// Tiles of x and of the weight that are under way at once.
    let stages = 4

    /// Rows and columns of a tile; terms of a step; rows that a warp stores at once.
    static let (rows, columns, depth, panelRows) = (128, 256, 64, 16)
    static let threads = 3 * 128
    /// The functions of `layers/odds.cu`.
    static let rowFunctions = ["refer_to_targets", "sum_odds", "odds_gradient"]
    private static let (elementBytes, barrierBytes, warps, panelsOfWarp) = (2, 8, 8, 2)

    var source: KernelSource {
        KernelSource("hopper/odds.cu", "multiply_odds", macros: [("INPUT", 2), ("MATH", 0), ("STAGES", stages)])
    }

    var sharedBytes: Int {
        let stage = (Self.rows + Self.columns) * Self.depth
        let panels = Self.warps * Self.panelsOfWarp * Self.panelRows * 64
        return (stages * stage + panels) * Self.elementBytes + 2 * stages * Self.barrierBytes
    }

    func columnTiles(_ columns: Int) -> Int { (columns + Self.columns - 1) / Self.columns }
    func tiles(rows: Int, columns: Int) -> Int { (rows + Self.rows - 1) / Self.rows * columnTiles(columns) }
}
