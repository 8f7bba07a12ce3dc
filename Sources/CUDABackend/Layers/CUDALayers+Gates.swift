import CUDARuntime
package import Tensors

extension CUDALayers {
    /// Gates of a row, and rows of a block, of `project_gates`.
    private static let (mostGates, gateRows) = (64, 64)

    package func projectGates(
        _ x: Tensor, weight: Tensor, bias: Tensor
    ) throws(PowerAttentionError) -> (logarithms: Tensor, projection: Tensor) {
        let (rows, width, heads) = (x.rowCount, x.rowWidth, bias.count)
        var projection = try context.tensor([rows, heads], .float32)
        guard let source = gateSource(width: width, heads: heads, weightRows: weight.rowCount) else {
            try multiply(x, transposeA: false, weight, transposeB: true, into: &projection, accumulate: false)
            return (try logSigmoid(projection, bias: bias), projection)
        }
        let logarithms = try context.tensor([rows, heads], .float32)
        try launch(
            source, grid: .init((rows + Self.gateRows - 1) / Self.gateRows), threads: 128,
            [
                .tensor(x), .tensor(weight), .tensor(bias), .tensor(projection), .tensor(logarithms), .int(rows), .int(width),
                .int(heads),
            ])
        return (logarithms, projection)
    }

    /// The product of few columns that has a kernel of its own, because cuBLASLt's are made for many; `nil` where it is for cuBLASLt.
    func gateSource(width: Int, heads: Int, weightRows: Int) -> KernelSource? {
        let tiles = (heads + 7) / 8
        guard activations == .bfloat16, width.isMultiple(of: 32), 1...Self.mostGates ~= heads, 8 * tiles <= weightRows else {
            return nil
        }
        return source("gate", "project_gates", vector: 1, [("TILES", tiles)])
    }

    package func logSigmoid(_ x: Tensor, bias: Tensor) throws(PowerAttentionError) -> Tensor {
        let y = try context.tensor(x.shape, x.dataType)
        try pointwise(
            "log_sigmoid", of: "gate", vector: 1, count: x.count,
            [.tensor(x), .tensor(bias), .tensor(y), .count(x.count), .int(x.rowWidth)])
        return y
    }

    package func logSigmoidBackward(
        _ x: Tensor, bias: Tensor, gradient: inout Tensor, biasGradient: inout Tensor
    ) throws(PowerAttentionError) {
        let rounded = try context.tensor(x.shape, activations)
        let exact = try context.tensor(x.shape, .float32)
        try pointwise(
            "log_sigmoid_backward", of: "gate", vector: 1, count: x.count,
            [
                .tensor(x), .tensor(bias), .tensor(gradient), .tensor(rounded), .tensor(exact), .count(x.count),
                .int(x.rowWidth),
            ])
        gradient = rounded
        try addColumns(of: exact, from: 0, to: own(&biasGradient), count: bias.count)
    }

    package func logSigmoidBackward(
        _ x: Tensor, bias: Tensor, gradient: Tensor, into target: inout Tensor, _ columns: Range<Int>,
        biasGradient: inout Tensor
    ) throws(PowerAttentionError) {
        let (rows, heads, stride) = (x.rowCount, bias.count, target.rowWidth)
        let vector = vector(columns.lowerBound, columns.count, stride)
        let perRow = columns.count / vector
        guard 1...Self.threads ~= perRow, heads <= columns.count else {
            var result = gradient
            try logSigmoidBackward(x, bias: bias, gradient: &result, biasGradient: &biasGradient)
            return try setColumns(&target, columns, to: result)
        }
        let atOnce = Self.threads / perRow
        // Two blocks a multiprocessor.
        let most = 2 * context.properties.multiprocessorCount
        let rowsOfPart = (rows + most * atOnce - 1) / (most * atOnce) * atOnce
        let parts = (rows + rowsOfPart - 1) / rowsOfPart
        let partials = try context.tensor([parts, heads], .float32)
        let place = try own(&target).advanced(by: columns.lowerBound * target.dataType.byteCount)
        try launch(
            source("gate", "log_sigmoid_backward_columns", vector: vector), grid: .init(parts), threads: Self.threads,
            sharedBytes: 4 * atOnce * heads,
            [
                .tensor(x), .tensor(bias), .tensor(gradient), .pointer(place), .tensor(partials), .int(rows), .int(heads),
                .int(columns.count), .int(stride), .int(rowsOfPart),
            ])
        try addSums(of: partials, to: own(&biasGradient), nil, width: heads)
    }
}
