package import BackendInterface
import CUDARuntime
package import Tensors

extension CUDALayers {
    static let threads = 256

    /// Launches a kernel of `layers/pointwise.cu`, or of another file, over `count` numbers.
    func pointwise(
        _ function: String, of file: String = "pointwise", vector: Int, count: Int, _ arguments: [KernelArgument]
    ) throws(PowerAttentionError) {
        let perBlock = Self.threads * vector
        try launch(
            source(file, function, vector: vector), grid: .init((count + perBlock - 1) / perBlock),
            threads: Self.threads, arguments)
    }

    package func gelu(_ x: Tensor) throws(PowerAttentionError) -> Tensor {
        let y = try context.tensor(x.shape, x.dataType)
        try pointwise("gelu", vector: vector(x.count), count: x.count, [.tensor(x), .tensor(y), .count(x.count)])
        return y
    }

    package func geluBackward(_ x: Tensor, gradient: inout Tensor) throws(PowerAttentionError) {
        try pointwise(
            "gelu_backward", vector: vector(x.count), count: x.count,
            [.tensor(x), .pointer(own(&gradient)), .count(x.count)])
    }

    package func swiglu(_ x: Tensor) throws(PowerAttentionError) -> Tensor {
        let width = x.rowWidth / 2
        let y = try context.tensor(x.shape.dropLast() + [width], x.dataType)
        try pointwise(
            "swiglu", vector: vector(width), count: y.count, [.tensor(x), .tensor(y), .count(y.count), .int(width)])
        return y
    }

    package func swigluBackward(_ x: Tensor, gradient: Tensor) throws(PowerAttentionError) -> Tensor {
        let width = x.rowWidth / 2
        let inputGradient = try context.tensor(x.shape, x.dataType)
        try pointwise(
            "swiglu_backward", vector: vector(width), count: gradient.count,
            [.tensor(x), .tensor(gradient), .tensor(inputGradient), .count(gradient.count), .int(width)])
        return inputGradient
    }

    package func rotate(_ x: inout Tensor, cosines: Tensor, sines: Tensor, inverse: Bool) throws(PowerAttentionError) {
        let place = try own(&x)
        try rotate(x, to: place, stride: x.rowWidth, cosines: cosines, sines: sines, inverse: inverse)
    }

    /// The width of heads that `project_heads` turns.
    static let projectedHead = 64

    package func projectHeads(
        _ x: Tensor, weight: Tensor, heads: Int, keyHeads: Int, cosines: Tensor, sines: Tensor
    ) throws(PowerAttentionError) -> ProjectedHeads? {
        let (rows, width) = (x.rowCount, x.rowWidth)
        guard 2 * cosines.rowWidth == Self.projectedHead, multipliesByTiles(width: width), rows >= TiledProduct.fewestRows
        else {
            return nil
        }
        func columns(_ heads: Int) throws(PowerAttentionError) -> Tensor {
            try context.tensor([rows, heads * Self.projectedHead], x.dataType)
        }
        let (q, k, v) = (try columns(heads), try columns(keyHeads), try columns(keyHeads))
        let magnitudes = RowMagnitudes(
            queries: try context.tensor([rows, heads], .float32), keys: try context.tensor([rows, keyHeads], .float32))
        try launch(
            .projections, x, weight, columns: (heads + 2 * keyHeads) * Self.projectedHead, results: [q, k, v],
            [
                .tensor(cosines), .tensor(sines), .tensor(magnitudes.queries), .tensor(magnitudes.keys), .int(rows),
                .int(width), .int(heads), .int(keyHeads), .int(cosines.rowCount),
            ])
        return ProjectedHeads(q: q, k: k, v: v, magnitudes: magnitudes)
    }

    package func rotateMeasuring(
        _ x: inout Tensor, cosines: Tensor, sines: Tensor
    ) throws(PowerAttentionError) -> Tensor? {
        let half = cosines.rowWidth
        let perHead = half / vector(half)
        guard perHead <= 32, perHead & (perHead - 1) == 0 else {
            try rotate(&x, cosines: cosines, sines: sines, inverse: false)
            return nil
        }
        let magnitudes = try context.tensor([x.rowCount, x.rowWidth / (2 * half)], .float32)
        let place = try own(&x)
        try rotate(
            x, to: place, stride: x.rowWidth, cosines: cosines, sines: sines, inverse: false, magnitudes: magnitudes)
        return magnitudes
    }

    package func rotate(
        _ x: Tensor, into target: inout Tensor, _ columns: Range<Int>, cosines: Tensor, sines: Tensor, inverse: Bool
    ) throws(PowerAttentionError) {
        guard columns.count == x.rowWidth else {
            var turned = x
            try rotate(&turned, cosines: cosines, sines: sines, inverse: inverse)
            return try setColumns(&target, columns, to: turned)
        }
        let place = try own(&target).advanced(by: columns.lowerBound * target.dataType.byteCount)
        try rotate(x, to: place, stride: target.rowWidth, cosines: cosines, sines: sines, inverse: inverse)
    }

    private func rotate(
        _ x: Tensor, to place: DevicePointer, stride: Int, cosines: Tensor, sines: Tensor, inverse: Bool,
        magnitudes: Tensor? = nil
    ) throws(PowerAttentionError) {
        let half = cosines.rowWidth
        let pairs = x.count / 2
        try pointwise(
            "rotate", vector: vector(half), count: pairs,
            [
                .tensor(x), .pointer(place), .tensor(cosines), .tensor(sines), .count(pairs), .int(x.rowWidth), .int(stride),
                .int(half), .int(cosines.rowCount), .float(inverse ? -1 : 1), .tensor(magnitudes),
            ])
    }

    package func setColumns(_ x: inout Tensor, _ columns: Range<Int>, to given: Tensor) throws(PowerAttentionError) {
        let count = x.rowCount * columns.count
        let place = try own(&x).advanced(by: columns.lowerBound * x.dataType.byteCount)
        try pointwise(
            "set_columns", vector: vector(columns.lowerBound, columns.count, x.rowWidth), count: count,
            [
                .tensor(given), .pointer(place), .count(count), .int(given.rowWidth), .int(columns.count), .int(x.rowWidth),
            ])
    }

    package func addBias(_ x: inout Tensor, bias: Tensor) throws(PowerAttentionError) {
        try pointwise(
            "add_bias", vector: vector(x.rowWidth), count: x.count,
            [.pointer(own(&x)), .tensor(bias), .count(x.count), .int(x.rowWidth)])
    }

    package func addBiasBackward(
        gradient: Tensor, from first: Int, biasGradient: inout Tensor
    ) throws(PowerAttentionError) {
        try addColumns(of: gradient, from: first, to: own(&biasGradient), count: biasGradient.count)
    }

    /// Adds the sums of some columns over all rows to a vector, in two steps.
    func addColumns(
        of x: Tensor, from first: Int, to sums: DevicePointer, count: Int
    ) throws(PowerAttentionError) {
        let rows = x.rowCount
        let rowsOfPart = max(16, (rows + 1023) / 1024)
        let parts = (rows + rowsOfPart - 1) / rowsOfPart
        let partials = try context.tensor([parts, count], .float32)
        try launch(
            LayerSources.source("sums", "sum_columns", x.dataType, vector: 1),
            grid: .init(parts, (count + Self.threads - 1) / Self.threads), threads: Self.threads,
            [
                .tensor(x), .tensor(partials), .int(rows), .int(count), .int(x.rowWidth), .int(first), .int(rowsOfPart),
            ])
        try addSums(of: partials, to: sums, nil, width: count)
    }
}
