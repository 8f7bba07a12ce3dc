package import BackendInterface
package import Tensors

/// What the kernels of a problem have in common: everything that they are compiled for besides their tiles.
package struct KernelProblem: Sendable, Hashable {
    package let dataType: DataType
    let precision: Precision
    /// p, or 0 for exponential attention.
    package let degree: Int
    let isNormalized: Bool
    package let isGated: Bool
    /// d and e, rounded up to whole fragments of 16.
    let width, valueWidth: Int
    /// Whether e is a multiple of 16 by itself.
    let keepsValueWidth: Bool

    package init(_ problem: AttentionProblem, dataType: DataType, isGated: Bool) {
        self.dataType = dataType
        degree = problem.degree ?? 0
        precision = Precision(dataType, degree: problem.degree)
        isNormalized = problem.normalization == .sum
        self.isGated = isGated
        width = (problem.keyWidth + 15) / 16 * 16
        valueWidth = (problem.valueWidth + 15) / 16 * 16
        keepsValueWidth = problem.valueWidth == valueWidth
    }

    /// The macros that every kernel knows.
    var macros: [(String, Int)] {
        [("INPUT", dataType.kernelInput), ("MATH", precision.rawValue), ("DEGREE", degree)]
    }

    /// The macros of the kernels that multiply.
    var productMacros: [(String, Int)] { macros + [("WIDTH", width), ("GATED", isGated ? 1 : 0)] }

    var normalizationMacro: (String, Int) { ("NORMALIZED", isNormalized ? 1 : 0) }

    /// The words of all blocks of features, in whole eights, or none where kernels read none, or they would take shared memory from too
    /// much else.
    var sharedFeatureWords: Int {
        guard SymmetricStateLayout(self) == nil else { return 0 }
        let blocks = FeatureBlocks.count(degree: degree, width: width) / FeatureBlocks.size
        return blocks <= 1024 ? (blocks + 7) / 8 * 8 : 0
    }

    /// What so many rows take as pairs beside themselves in Hopper's kernels, where features are made of them (`hopper/features.cuh`).
    func pairBytes(_ rows: Int) -> Int { degree > 2 && width <= 64 ? 2 * rows * width : 0 }

    /// What their gradients by a state take there (`hopper/gradient_tile.cuh`).
    func stateGradientBytes(_ rows: Int) -> Int { degree > 2 ? 4 * rows * width * (width <= 16 ? 2 : 1) : 0 }

    /// The largest part of `width`, at most `limit`, that divides it into whole fragments.
    static func tile(of width: Int, atMost limit: Int) -> Int {
        let fragments = width / 16
        return (1...fragments).last { fragments.isMultiple(of: $0) && $0 * 16 <= limit }.map { $0 * 16 } ?? 16
    }
}
