/// The kernels of `prepare/inputs.cu`: how many threads read a row.
struct PreparationConfiguration: Sendable, Hashable {
    /// Tokens of a block.
    static let tokens = 64
    static let threads = 256

    let lanes: Int

    init(_ problem: KernelProblem) {
        var lanes = 4
        while lanes < 32 && lanes * 4 < max(problem.width, problem.valueWidth) { lanes *= 2 }
        self.lanes = lanes
    }
}
