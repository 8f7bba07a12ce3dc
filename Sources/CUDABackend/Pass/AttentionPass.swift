package import BackendInterface
package import CUDARuntime
package import Tensors

/// One problem on one card: its kernels, and the tables by which they find their tokens. Serves any number of calls.
package final class AttentionPass: Sendable {
    let context: CUDAContext
    package let plan: AttentionPlan
    let features: DeviceFeatures?
    /// Takes the place of all kernels where it serves the problem.
    let library: LibraryAttention?
    let sequences, chunks, measuredTiles, mostlySkippedTiles, preparationTiles, forwardTiles, queryTiles, keyTiles: DeviceMemory
    /// Where chunks are summed one by one.
    let sums: DeviceSums?
    let measuredTileCount, mostlySkippedTileCount, preparationTileCount, forwardTileCount, queryTileCount, keyTileCount: Int

    /// - Throws: `PowerAttentionError` where the card cannot serve the problem, or its memory is full.
    package convenience init(
        _ context: CUDAContext, _ problem: AttentionProblem, dataType: DataType, isGated: Bool
    ) throws(PowerAttentionError) {
        let plan = try AttentionPlan(
            problem, dataType: dataType, isGated: isGated, hasInitialState: false, hasFinalGradient: false,
            on: CardLimits(context.properties))
        let power = plan.hasChunks ? problem.expansion : nil
        try self.init(
            context, plan, features: power.map { power throws(PowerAttentionError) in try DeviceFeatures(power, context) })
    }

    init(_ context: CUDAContext, _ plan: AttentionPlan, features: DeviceFeatures?) throws(PowerAttentionError) {
        self.context = context
        self.plan = plan
        self.features = features
        library = try .serving(
            plan.problem, dataType: plan.dataType, isGated: plan.kernels.problem.isGated, on: context)
        sequences = try context.upload(plan.schedule.sequences)
        chunks = try context.upload(plan.schedule.chunks)
        sums = plan.kernels.splitsStates ? try DeviceSums(plan.schedule, context) : nil
        func upload(_ rows: [Schedule.Row]) throws(PowerAttentionError) -> (DeviceMemory, Int) {
            (try context.upload(rows), rows.count)
        }
        let schedule = plan.schedule
        (measuredTiles, measuredTileCount) = try upload(schedule.measuredTiles(of: PreparationConfiguration.measuredTokens))
        (mostlySkippedTiles, mostlySkippedTileCount) = try upload(
            plan.triesGivenRows ? schedule.measuredTiles(of: PreparationConfiguration.mostlySkippedTokens) : [])
        (preparationTiles, preparationTileCount) = try upload(schedule.tiles(of: PreparationConfiguration.tokens))
        (forwardTiles, forwardTileCount) = try upload(
            schedule.queryTiles(of: plan.kernels.forwardRows, step: plan.kernels.forwardStep))
        (queryTiles, queryTileCount) = try upload(
            schedule.queryTiles(of: plan.kernels.backwardQueriesRows, step: plan.kernels.backwardQueriesStep))
        (keyTiles, keyTileCount) = try upload(schedule.keyTiles(of: plan.kernels.backwardKeysRows))
    }

    /// Compiles what the calls run, all at once; where this was not called, each kernel is compiled at its first launch.
    ///
    /// - Parameter knowsMagnitudes: whether those of rows are given.
    package func prepare(movesState: Bool = false, knowsMagnitudes: Bool = false) throws(PowerAttentionError) {
        guard library == nil else { return }
        let isMeasured = knowsMagnitudes && problem.degree != nil
        try context.prepare(plan.sources(movesState: movesState) + (isMeasured ? [kernels.measureMagnitudes] : []))
    }

    var problem: AttentionProblem { plan.problem }
    var kernels: AttentionKernels { plan.kernels }
    var schedule: Schedule { plan.schedule }
    var hasChunks: Bool { plan.hasChunks }
    var hasInitialState: Bool { plan.hasInitialState }
    var dataType: DataType { plan.dataType }
    var isGated: Bool { kernels.problem.isGated }

    /// scale^p, which kernels multiply outputs by that no normalizer divides: it can leave the range of float32 where the outputs do not.
    var rowFactor: SplitFactor { SplitFactor(problem.scale, power: problem.degree ?? 1) }
    /// The scale of an exponent in base 2.
    var exponentScale: Float { Float(problem.scale * 1.4426950408889634) }
    var window: Int {
        if case .exponential(let window) = problem.mechanism { window ?? 0 } else { 0 }
    }
    /// The type of the y that the backward pass reads.
    var exactType: DataType { library == nil ? .float32 : dataType }
    var elementBytes: Int { kernels.problem.precision.elementBytes }
    var paddedWidth: Int { kernels.problem.width }
    var paddedValueWidth: Int { kernels.problem.valueWidth }
    var rows: Int { problem.tokenCount * problem.queryHeads }
    var pairs: Int { problem.sequences.count * problem.keyHeads }
    /// Numbers of a row of a state.
    var stateStride: Int { paddedValueWidth + 8 }
}
