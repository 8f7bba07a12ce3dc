/// The kernels of `prepare/inputs.cu`: how many threads read a row.
struct PreparationConfiguration: Sendable, Hashable {
    /// Tokens of a block.
    static let tokens = 64
    static let threads = 256
    /// Tokens of a block that measures, of one head, and its threads.
    static let measuredTokens = 256
    /// The same where it mostly has nothing to do: the fewer blocks, the sooner all have found that out.
    static let mostlySkippedTokens = 2048
    static let measuringThreads = 512

    let lanes: Int

    init(_ problem: KernelProblem) {
        var lanes = 4
        while lanes < 32 && lanes * 4 < max(problem.width, problem.valueWidth) { lanes *= 2 }
        self.lanes = lanes
    }
}
