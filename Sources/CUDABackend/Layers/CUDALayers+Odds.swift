package import BackendInterface
package import CUDARuntime
package import Tensors

extension CUDALayers {
    /// Rows of a block of the kernels of `layers/odds.cu` that have a warp for every row, and of `sum_odds`.
    private static let (warpRows, sumRows, rowThreads) = (8, 32, 256)

    package func targetOdds(
        _ x: Tensor, weight: Tensor, vocabulary: Int, targets: Tensor, gradientScale: Double?
    ) throws(PowerAttentionError) -> TargetOdds? {
        let (rows, width) = (x.rowCount, x.rowWidth)
        guard multipliesByTiles(width: width), rows > 0 else { return nil }
        let stride = Self.aligned(vocabulary)
        let vector = vector(width)
        let (references, tableRows) = (try context.tensor([rows], .float32), try context.tensor([rows], .int32))
        try launch(
            source("odds", "refer_to_targets", vector: vector), grid: grid(rows, Self.warpRows), threads: Self.rowThreads,
            [
                .tensor(x), .tensor(weight), .tensor(targets), .tensor(references), .tensor(tableRows), .int(rows), .int(width),
            ])

        let gradients =
            gradientScale == nil
            ? nil
            : TargetOdds.Gradients(
                odds: try context.tensor([rows, stride], x.dataType), scaled: try context.tensor(x.shape, x.dataType),
                factors: try context.tensor([rows], .float32), targetFactors: try context.tensor([rows], .float32),
                tableRows: tableRows)
        let sums = try context.tensor([TiledProduct.columnTiles(stride), rows], .float32)
        // Without odds the kernel never looks at their map.
        try launch(
            .odds, x, weight, columns: stride, results: [gradients?.odds ?? x],
            [
                .tensor(references), .tensor(targets), .tensor(sums), .int(rows), .int(width), .int(vocabulary), .int(stride),
                .flag(gradients != nil),
            ])

        let losses = try context.tensor([rows], .float32)
        try launch(
            source("odds", "sum_odds", vector: vector), grid: grid(rows, Self.sumRows), threads: Self.rowThreads,
            [
                .tensor(sums), .tensor(targets), .tensor(x), .tensor(losses), .tensor(gradients?.factors),
                .tensor(gradients?.targetFactors), .tensor(gradients?.scaled), .int(rows), .int(width),
                .int(TiledProduct.columnTiles(stride)), .flag(gradients != nil), .float(Float(gradientScale ?? 0)),
            ])
        return TargetOdds(losses: losses, gradients: gradients)
    }

    package func addTargets(
        _ odds: TargetOdds.Gradients, weightGradient: inout Tensor
    ) throws(PowerAttentionError) {
        try addRows(odds.scaled, factors: odds.targetFactors, to: &weightGradient, at: odds.tableRows)
    }

    package func finishOddsGradient(
        _ product: inout Tensor, _ odds: TargetOdds.Gradients, weight: Tensor
    ) throws(PowerAttentionError) {
        let (rows, width) = (product.rowCount, product.rowWidth)
        let place = try own(&product)
        try launch(
            source("odds", "odds_gradient", vector: vector(width)), grid: grid(rows, Self.warpRows), threads: Self.rowThreads,
            [
                .pointer(place), .tensor(weight), .tensor(odds.tableRows), .tensor(odds.factors), .tensor(odds.targetFactors),
                .int(rows), .int(width),
            ])
    }

    /// Follows ``targetOdds(_:weight:vocabulary:targets:gradientScale:)``, and, where a pass trains, ``addTargets(_:weightGradient:)``.
    ///
    /// - Returns: what is left of both.
    package static func takeOdds(
        _ memory: inout RecordedMemory, rows: Int, width: Int, vocabulary: Int, trains: Bool
    ) -> (losses: RecordedMemory.Block, others: [RecordedMemory.Block]) {
        func numbers(_ count: Int) -> RecordedMemory.Block { memory.take(4 * count) }
        let (references, tableRows) = (numbers(rows), numbers(rows))
        let gradients =
            trains
            ? [memory.take(2 * rows * aligned(vocabulary)), memory.take(2 * rows * width), numbers(rows), numbers(rows)] : []
        let sums = numbers(TiledProduct.columnTiles(aligned(vocabulary)) * rows)
        let losses = numbers(rows)
        memory.release([references, sums])
        guard trains else {
            memory.release(tableRows)
            return (losses, [])
        }
        takeRows(&memory, count: rows, width: width)
        return (losses, gradients + [tableRows])
    }

    /// The functions of `layers/odds.cu`.
    static let oddsFunctions = ["refer_to_targets", "sum_odds", "odds_gradient"]

    private func grid(_ rows: Int, _ perBlock: Int) -> KernelLaunch.Grid { .init((rows + perBlock - 1) / perBlock) }
}
