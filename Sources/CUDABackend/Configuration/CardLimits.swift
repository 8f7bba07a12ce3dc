package import CUDARuntime

/// What decides which kernels a card can run, besides the problem.
package struct CardLimits: Sendable, Hashable {
    /// The shared memory that a block may have, in bytes.
    package let sharedBytes: Int
    /// Whether warpgroups multiply (compute capability 9.0).
    package let isHopper: Bool
    package let multiprocessors: Int

    package init(_ card: DeviceProperties) {
        sharedBytes = card.sharedMemoryPerBlock
        isHopper = (card.major, card.minor) == (9, 0)
        multiprocessors = card.multiprocessorCount
    }

    /// The limits of cards of an architecture, `sm_80` (CUDA programming guide, technical specifications), those of data centres where there
    /// are several.
    package init(architecture: String) {
        let digits = architecture.drop { !$0.isNumber }.prefix { $0.isNumber }
        switch Int(digits) ?? 80 {
        case 80, 87: sharedBytes = 166_912
        case 86, 89, 120, 121: sharedBytes = 101_376
        default: sharedBytes = 232_448
        }
        isHopper = architecture == "sm_90a"
        multiprocessors = isHopper ? 132 : 108
    }

    /// Whether the kernels of `hopper` serve a problem: a power, and rows in bfloat16 no wider than 128.
    func multiplyByWarpgroups(_ problem: KernelProblem) -> Bool {
        isHopper && problem.precision == .bfloat16 && problem.degree > 0 && max(problem.width, problem.valueWidth) <= 128
    }
}
