import CUDARuntime
package import Tensors

extension CUDALayers {
    /// Whether there are kernels of ``TiledProduct`` for rows of these widths: of bfloat16, at multiples of 16 bytes, on Hopper.
    package func multipliesByTiles(width: Int...) -> Bool {
        context.hasTensorMaps
            && width.allSatisfy { Self.multipliesByTiles(activations, width: $0, on: CardLimits(context.properties)) }
    }

    /// The same where the driver is a new one.
    package static func multipliesByTiles(_ activations: DataType, width: Int, on limits: CardLimits) -> Bool {
        activations == .bfloat16 && width.isMultiple(of: 8) && limits.isHopper
    }

    /// Queues a product of `x` with `columns` rows, or columns, of a weight.
    func launch(
        _ product: TiledProduct, _ x: Tensor, _ weight: Tensor, columns: Int, results: [Tensor], _ arguments: [KernelArgument]
    ) throws(PowerAttentionError) {
        var maps = [try map(x, boxRows: TiledProduct.rows), try map(weight, boxRows: product.weightRows)]
        for result in results { maps.append(try map(result, boxRows: TiledProduct.panelRows)) }
        let tiles = TiledProduct.tiles(rows: x.rowCount, columns: columns)
        try launch(
            product.source, grid: .init(min(tiles, context.properties.multiprocessorCount)), threads: TiledProduct.threads,
            sharedBytes: TiledProduct.sharedBytes, maps.map(KernelArgument.tensorMap) + arguments)
    }

    private func map(_ matrix: Tensor, boxRows: Int) throws(PowerAttentionError) -> TensorMap {
        try context.tensorMap(
            matrix.devicePointer, rows: matrix.rowCount, columns: matrix.rowWidth, boxRows: boxRows, heldBy: matrix.storage)
    }
}
