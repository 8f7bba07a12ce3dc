/// Where the numbers of a state of degree 1 or 2 stand between Hopper's kernels (`hopper/symmetric_state.cuh`).
package struct SymmetricStateLayout: Sendable, Hashable {
    /// The numbers of a state before a chunk, or of the gradient of one after it: tiles of first factors, then the normalizer, in panels.
    package let numbers: Int
    /// The numbers of the tile of a first factor of the first group.
    let largestTile: Int
    /// The numbers of a stage that takes part of a window of columns, or a panel of the normalizer.
    let windowStage: Int
    /// The sums of a row that wait in shared memory while those for another window of columns are added up.
    package let waitingSums: Int

    /// `nil` where states are rows of features.
    init?(_ problem: KernelProblem) {
        self.init(degree: problem.degree, width: problem.width, valueWidth: problem.valueWidth)
    }

    /// - Parameters: widths in whole fragments of 16.
    package init?(degree: Int, width: Int, valueWidth: Int) {
        guard degree == 1 || degree == 2 else { return nil }
        let isLinear = degree == 1
        let panel = 64 * (isLinear ? 16 : width)
        largestTile = Panels.numbers(width, valueWidth)
        // Tiles begin with the group of 16 of their first factor; of 64 columns, and no more values, those of the second half of a group with
        // the next one, and pairs of second halves have tiles of 64 rows.
        let saved = width == 64 && valueWidth <= 64 ? (128 - 64) * width / 16 : 0
        let rows = width * (width + 16) / 2 - saved
        let tiles = isLinear ? largestTile : Panels.numbers(rows, valueWidth)
        numbers = tiles + (width + 63) / 64 * panel
        windowStage = max(Panels.numbers(isLinear ? min(width, 64) : 64, valueWidth), panel)
        waitingSums = !isLinear && width > 64 ? 64 : 0
    }
}
