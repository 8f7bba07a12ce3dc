/// Where the numbers of a state of degree 1 or 2 stand between Hopper's kernels (`hopper/symmetric_state.cuh`).
package struct SymmetricStateLayout: Sendable, Hashable {
    /// Whether rows of queries or keys stay in registers beside a kernel's sums, where gradients of states have tiles of one order of factors;
    /// if not, whole ones.
    package let keepsRows: Bool
    /// The numbers of a state before a chunk, and of the gradient of one after it: tiles of first factors, then the normalizer, in panels.
    package let prefixNumbers, gradientNumbers: Int
    /// The numbers of a stage that takes one tile, or one panel of the normalizer; and of one that takes all of the normalizer.
    let panelStage, normalizerStage: Int

    /// `nil` where states are rows of features.
    init?(_ problem: KernelProblem) {
        self.init(degree: problem.degree, width: problem.width, valueWidth: problem.valueWidth)
    }

    /// - Parameters: widths in whole fragments of 16.
    package init?(degree: Int, width: Int, valueWidth: Int) {
        guard degree == 1 || degree == 2 else { return nil }
        let isLinear = degree == 1
        let tile = Panels.numbers(width, valueWidth), panel = 64 * (isLinear ? 16 : width)
        let normalizer = (width + 63) / 64 * panel
        // Tiles of one order begin with the group of 16 of their first factor.
        let whole = (isLinear ? 1 : width) * tile
        let oneOrder = isLinear ? tile : Panels.numbers(width * (width + 16) / 2, valueWidth)
        keepsRows = width + valueWidth <= 128
        prefixNumbers = oneOrder + normalizer
        gradientNumbers = (keepsRows ? oneOrder : whole) + normalizer
        panelStage = max(tile, panel)
        normalizerStage = max(tile, normalizer)
    }
}
