import CUDARuntime

/// Kernels that finish the results of a product beside its next tile (`hopper/product.cuh`): how they cut it in tiles, and what their blocks take.
enum TiledProduct: Sendable {
    /// Odds of all tokens against those that came.
    case odds
    /// Queries, keys and values, turned.
    case projections
    /// Hidden units after GELU, and what their gradients are multiplied by; those gradients.
    case gelu, geluGradient

    /// Rows and columns of a tile; terms of a step; rows that a warp stores at once.
    static let (rows, columns, depth, panelRows) = (128, 256, 64, 16)
    static let threads = 3 * 128
    /// Tiles of both operands that are under way at once.
    private static let stages = 4
    private static let (elementBytes, barrierBytes, warps, panelsOfWarp) = (2, 8, 8, 2)

    /// Fewer rows leave most of a tile, or of the card, idle.
    static let fewestRows = 64

    var source: KernelSource {
        let (file, function) =
            switch self {
            case .odds: ("odds", "multiply_odds")
            case .projections: ("projections", "project_heads")
            case .gelu: ("gelu", "multiply_gelu")
            case .geluGradient: ("gelu", "multiply_gelu_gradient")
            }
        return KernelSource("hopper/\(file).cu", function, macros: [("INPUT", 2), ("MATH", 0), ("STAGES", Self.stages)])
    }

    /// Rows of the weight that come at once.
    var weightRows: Int { self == .geluGradient ? Self.depth : Self.columns }

    static var sharedBytes: Int {
        let stage = (rows + columns) * depth
        let panels = warps * panelsOfWarp * panelRows * 64
        return (stages * stage + panels) * elementBytes + 2 * stages * barrierBytes
    }

    static func columnTiles(_ columns: Int) -> Int { (columns + Self.columns - 1) / Self.columns }
    static func tiles(rows: Int, columns: Int) -> Int { (rows + Self.rows - 1) / Self.rows * columnTiles(columns) }
}
