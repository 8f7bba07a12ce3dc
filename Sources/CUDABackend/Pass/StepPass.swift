package import BackendInterface
package import CUDARuntime
package import Tensors

/// The recurrent form on one card: every call reads the states of all sequences once, advances them by the tokens of the call, and
/// writes them once, in one launch.
package final class StepPass: Sendable {
    let context: CUDAContext
    package let problem: AttentionProblem
    let dataType: DataType
    private let kernel: KernelSource
    private let kernels: KernelProblem
    private let tiles: StepConfiguration
    private let features: DeviceFeatures
    private let sequences, partials, arrivals: DeviceMemory
    private let longest: Int

    /// - Precondition: the problem is power attention.
    package convenience init(
        _ context: CUDAContext, _ problem: AttentionProblem, dataType: DataType, isGated: Bool
    ) throws(PowerAttentionError) {
        guard let power = problem.expansion else { preconditionFailure("exponential attention has no state") }
        try self.init(
            context, problem, dataType: dataType, isGated: isGated, features: DeviceFeatures(power, context))
    }

    init(
        _ context: CUDAContext, _ problem: AttentionProblem, dataType: DataType, isGated: Bool, features: DeviceFeatures
    ) throws(PowerAttentionError) {
        try AttentionPlan.check(problem)
        self.context = context
        self.problem = problem
        self.dataType = dataType
        self.features = features
        kernels = KernelProblem(problem, dataType: dataType, isGated: isGated)
        tiles = StepConfiguration(kernels, valueWidth: problem.valueWidth, dimension: features.power.dimension)
        kernel = kernels.step(tiles)
        longest = max(problem.sequences.map(\.count).max() ?? 0, 1)
        sequences = try context.upload(Schedule(problem.sequences, chunkSize: longest).sequences)
        let pairs = problem.sequences.count * problem.keyHeads
        partials = try context.allocate(
            pairs * tiles.slices * longest * problem.group * (problem.valueWidth + 1), kernels.stepPrecision.accumulatorBytes)
        let arrivals = try context.allocate(pairs, 4)
        try context.fill(arrivals.pointer, byte: 0, byteCount: arrivals.byteCount)
        self.arrivals = arrivals
    }

    /// Compiles the kernel; where this was not called, that happens at its first launch.
    package func prepare() throws(PowerAttentionError) { try context.prepare([kernel]) }

    /// y `[tokens, hq, e]` in the type of the inputs; `state` becomes the one after the tokens.
    ///
    /// - Parameter isUsed: `[n, h]`, int32: which states are not all zeros; all count as used where it is `nil`.
    package func advance(
        _ inputs: PassInputs, S: DevicePointer, z: DevicePointer, exponents: DevicePointer, isUsed: DevicePointer?,
        into y: DevicePointer
    ) throws(PowerAttentionError) {
        let factor = SplitFactor(problem.scale, power: features.power.degree)
        try context.launch(
            KernelLaunch(
                kernel, grid: .init(tiles.slices, problem.keyHeads, problem.sequences.count),
                threads: StepConfiguration.threads, sharedBytes: tiles.sharedBytes,
                arguments: [
                    .pointer(inputs.q), .pointer(inputs.k), .pointer(inputs.v), .pointer(inputs.logG), .pointer(S), .pointer(z),
                    .pointer(exponents), .pointer(isUsed), .memory(features.factors), .memory(features.externalCoefficients),
                    .memory(sequences), .memory(partials), .memory(arrivals), .pointer(y),
                    .int(problem.group), .int(problem.keyHeads), .int(problem.keyWidth), .int(problem.valueWidth),
                    .int(features.power.dimension), .int(longest), .float(factor.significand),
                    .int(factor.exponent),
                ]))
    }
}
