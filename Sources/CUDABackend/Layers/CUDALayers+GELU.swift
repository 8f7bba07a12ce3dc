import CUDARuntime
package import Tensors

extension CUDALayers {
    /// On Hopper `hidden` are slopes, `gelu′` of the hidden units: a byte each, in the order of `hopper/gelu.cu`, half of what the units
    /// themselves take.
    package func multiplyGELU(
        _ x: Tensor, weight: Tensor
    ) throws(PowerAttentionError) -> (hidden: Tensor, activated: Tensor) {
        let (m, n, k) = (x.rowCount, weight.rowCount, x.rowWidth)
        if multipliesByTiles(width: k, n), m >= TiledProduct.fewestRows {
            let slopes = try context.tensor([Self.slopeCount(rows: m, width: n)], .uint8)
            let activated = try context.tensor([m, n], x.dataType)
            try launch(
                .gelu, x, weight, columns: n, results: [activated], [.tensor(slopes), .int(m), .int(k), .int(n)])
            return (slopes, activated)
        }
        let hidden = try context.tensor([m, n], x.dataType)
        let activated = try context.tensor([m, n], x.dataType)
        let shape = ProductShape(
            m: m, n: n, k: k, transposeA: false, transposeB: true, strideA: k, strideB: k, strideC: n, input: x.dataType,
            output: x.dataType, epilogue: .gelu)
        if fusesGELU(n),
            try products.attempt(
                shape, x.devicePointer, weight.devicePointer, into: activated.devicePointer,
                auxiliary: hidden.devicePointer)
        {
            return (hidden, activated)
        }
        var product = hidden
        try multiply(x, transposeA: false, weight, transposeB: true, into: &product, accumulate: false)
        return (product, try gelu(product))
    }

    package func multiplyGELUBackward(
        _ gradient: Tensor, weight: Tensor, hidden: Tensor
    ) throws(PowerAttentionError) -> Tensor {
        let (m, n, k) = (gradient.rowCount, weight.rowWidth, gradient.rowWidth)
        var result = try context.tensor([m, n], gradient.dataType)
        if hidden.dataType == .uint8 {
            try launch(
                .geluGradient, gradient, weight, columns: n, results: [result],
                [.tensor(hidden), .int(m), .int(k), .int(n)])
            return result
        }
        let shape = ProductShape(
            m: m, n: n, k: k, transposeA: false, transposeB: false, strideA: k, strideB: n, strideC: n,
            input: gradient.dataType, output: gradient.dataType, epilogue: .geluGradient)
        if fusesGELU(n),
            try products.attempt(
                shape, gradient.devicePointer, weight.devicePointer, into: result.devicePointer,
                auxiliary: hidden.devicePointer)
        {
            return result
        }
        try multiply(gradient, transposeA: false, weight, transposeB: false, into: &result, accumulate: false)
        try geluBackward(hidden, gradient: &result)
        return result
    }

    /// Whether cuBLASLt takes rows of this width beside its products: of bfloat16, at multiples of 16 bytes.
    private func fusesGELU(_ width: Int) -> Bool { activations == .bfloat16 && width.isMultiple(of: 8) }

    /// The slopes of hidden units, of whole tiles.
    private static func slopeCount(rows: Int, width: Int) -> Int {
        TiledProduct.tiles(rows: rows, columns: width) * TiledProduct.rows * TiledProduct.columns
    }

    /// The bytes of what is kept of hidden units in bfloat16, of inputs of `width`.
    package static func hiddenBytes(rows: Int, width: Int, hiddenWidth: Int, on limits: CardLimits) -> Int {
        let byTiles = [width, hiddenWidth].allSatisfy { multipliesByTiles(.bfloat16, width: $0, on: limits) }
        return byTiles && rows >= TiledProduct.fewestRows
            ? slopeCount(rows: rows, width: hiddenWidth) : rows * hiddenWidth * DataType.bfloat16.byteCount
    }
}
