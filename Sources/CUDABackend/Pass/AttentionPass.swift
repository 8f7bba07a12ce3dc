package import BackendInterface
package import CUDARuntime
import Foundation
package import Tensors

/// One problem on one card: its kernels, and the tables by which they find their tokens. Serves any number of calls.
package final class AttentionPass: Sendable {
    let context: CUDAContext
    package let problem: AttentionProblem
    let dataType: DataType
    let isGated: Bool
    let hasInitialState: Bool
    package let kernels: AttentionKernels
    let schedule: Schedule
    let features: DeviceFeatures?

    /// Whether a sequence has more than one chunk: a state passes between them.
    let hasChunks: Bool

    let sequences, chunks, preparationTiles, forwardTiles, queryTiles, keyTiles: DeviceMemory
    let preparationTileCount, forwardTileCount, queryTileCount, keyTileCount: Int

    /// - Parameters:
    ///   - states: whether a state goes in, and whether the gradient of a final state will be given.
    /// - Throws: `PowerAttentionError` where the card cannot serve the problem, or its memory is full.
    package convenience init(
        _ context: CUDAContext, _ problem: AttentionProblem, dataType: DataType, isGated: Bool, hasInitialState: Bool = false,
        hasFinalGradient: Bool = false
    ) throws(PowerAttentionError) {
        try self.init(
            context, problem, dataType: dataType, isGated: isGated, hasInitialState: hasInitialState,
            hasFinalGradient: hasFinalGradient,
            features: problem.expansion.map { power throws(PowerAttentionError) in try DeviceFeatures(power, context) })
    }

    init(
        _ context: CUDAContext, _ problem: AttentionProblem, dataType: DataType, isGated: Bool, hasInitialState: Bool,
        hasFinalGradient: Bool, features: DeviceFeatures?
    ) throws(PowerAttentionError) {
        try Self.check(problem)
        let problem = Self.conditioned(problem)
        self.context = context
        self.problem = problem
        self.dataType = dataType
        self.isGated = isGated
        self.hasInitialState = hasInitialState
        self.features = features
        let schedule = Schedule(problem.sequences, chunkSize: problem.chunkSize)
        self.schedule = schedule
        hasChunks = schedule.sequences.contains { $0.y > 1 }
        let multiprocessors = context.properties.multiprocessorCount
        let queryBlocks = problem.tokenCount / 128 * problem.queryHeads
        let stateBlocks = (features?.count ?? 0) / 128 * problem.keyHeads * problem.sequences.count
        kernels = try AttentionKernels(
            KernelProblem(problem, dataType: dataType, isGated: isGated),
            states: .init(queries: hasChunks || hasInitialState, keys: hasChunks || hasFinalGradient),
            fewTokens: queryBlocks < 2 * multiprocessors, fewStates: stateBlocks < 4 * multiprocessors,
            sharedLimit: context.properties.sharedMemoryPerBlock)
        sequences = try context.upload(schedule.sequences)
        chunks = try context.upload(schedule.chunks)
        func tiles(_ size: Int) throws(PowerAttentionError) -> (DeviceMemory, Int) {
            let rows = schedule.tiles(of: size)
            return (try context.upload(rows), rows.count)
        }
        (preparationTiles, preparationTileCount) = try tiles(PreparationConfiguration.tokens)
        (forwardTiles, forwardTileCount) = try tiles(kernels.forwardTiles.rows)
        (queryTiles, queryTileCount) = try tiles(kernels.backwardQueriesTiles.rows)
        (keyTiles, keyTileCount) = try tiles(kernels.backwardKeysTiles.rows)
    }

    /// The limits of a grid and of 32-bit indices.
    static func check(_ problem: AttentionProblem) throws(PowerAttentionError) {
        func limit(_ argument: String, _ name: String, _ value: Int, _ limit: Int) throws(PowerAttentionError) {
            guard value <= limit else {
                throw PowerAttentionError(
                    .unsupported, argument: argument, given: "\(value) \(name)", expected: "at most \(limit) on a GPU")
            }
        }
        try limit("q", "tokens", problem.tokenCount, Int(Int32.max) - 4096)
        try limit("q", "query heads and twice the key heads", problem.queryHeads + 2 * problem.keyHeads, 65_535)
        if problem.degree != nil { try limit("q", "sequences", problem.sequences.count, 65_535) }
        try limit("q", "columns of all heads", problem.keyHeads * ((problem.valueWidth + 15) / 16), 65_535)
    }

    /// The problem as the kernels take it: the attention form is one chunk. Chunks have at least 16 tokens, because sums over features
    /// of the few keys of a shorter first chunk cancel where a query is nearly orthogonal to them.
    static func conditioned(_ problem: AttentionProblem) -> AttentionProblem {
        var problem = problem
        let longest = max(problem.sequences.map(\.count).max() ?? 0, 1)
        if problem.form == .attention { problem.chunkSize = longest }
        problem.chunkSize = max(min(problem.chunkSize, longest), 16)
        return problem
    }

    /// Compiles and loads what a call runs. Calls do so by themselves; this is to know when.
    package func prepare(backward: Bool) throws(PowerAttentionError) {
        try context.prepare(kernels.sources(backward: backward, movesState: hasChunks || hasInitialState))
    }

    /// scale^p, which kernels multiply outputs by that no normalizer divides.
    var rowFactor: Float { Float(pow(problem.scale, Double(problem.degree ?? 1))) }
    /// The scale of an exponent in base 2.
    var exponentScale: Float { Float(problem.scale * 1.4426950408889634) }
    var window: Int {
        if case .exponential(let window) = problem.mechanism { window ?? 0 } else { 0 }
    }
    var elementBytes: Int { kernels.problem.precision.elementBytes }
    var paddedWidth: Int { kernels.problem.width }
    var paddedValueWidth: Int { kernels.problem.valueWidth }
    var rows: Int { problem.tokenCount * problem.queryHeads }
    var pairs: Int { problem.sequences.count * problem.keyHeads }
    /// Numbers of a row of a state.
    var stateStride: Int { paddedValueWidth + 8 }
}

extension AttentionProblem {
    /// φ of the keys, where the mechanism has one.
    var expansion: SymmetricPower? {
        degree.map { SymmetricPower(degree: $0, width: keyWidth, tile: tile) }
    }
}
