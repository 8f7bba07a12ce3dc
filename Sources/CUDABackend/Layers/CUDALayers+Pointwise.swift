import CUDARuntime
package import Tensors

extension CUDALayers {
    private static let threads = 256

    /// Launches a kernel of `layers/pointwise.cu` over `count` numbers.
    private func pointwise(
        _ function: String, vector: Int, count: Int, _ arguments: [KernelArgument]
    ) throws(PowerAttentionError) {
        let perBlock = Self.threads * vector
        try launch(
            source("pointwise", function, vector: vector), grid: .init((count + perBlock - 1) / perBlock),
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
        let half = cosines.rowWidth
        let pairs = x.count / 2
        try pointwise(
            "rotate", vector: vector(half), count: pairs,
            [
                .pointer(own(&x)), .tensor(cosines), .tensor(sines), .count(pairs), .int(x.rowWidth), .int(half),
                .int(cosines.rowCount), .float(inverse ? -1 : 1),
            ])
    }

    package func logSigmoid(_ x: Tensor, bias: Tensor) throws(PowerAttentionError) -> Tensor {
        let y = try context.tensor(x.shape, x.dataType)
        try pointwise(
            "log_sigmoid", vector: 1, count: x.count,
            [.tensor(x), .tensor(bias), .tensor(y), .count(x.count), .int(x.rowWidth)])
        return y
    }

    package func logSigmoidBackward(
        _ x: Tensor, bias: Tensor, gradient: inout Tensor, biasGradient: inout Tensor
    ) throws(PowerAttentionError) {
        let rounded = try context.tensor(x.shape, activations)
        let exact = try context.tensor(x.shape, .float32)
        try pointwise(
            "log_sigmoid_backward", vector: 1, count: x.count,
            [
                .tensor(x), .tensor(bias), .tensor(gradient), .tensor(rounded), .tensor(exact), .count(x.count),
                .int(x.rowWidth),
            ])
        gradient = rounded
        try addColumns(of: exact, to: own(&biasGradient))
    }

    package func addBias(_ x: inout Tensor, bias: Tensor) throws(PowerAttentionError) {
        try pointwise(
            "add_bias", vector: vector(x.rowWidth), count: x.count,
            [.pointer(own(&x)), .tensor(bias), .count(x.count), .int(x.rowWidth)])
    }

    package func addBiasBackward(gradient: Tensor, biasGradient: inout Tensor) throws(PowerAttentionError) {
        try addColumns(of: gradient, to: own(&biasGradient))
    }

    /// Adds the sums over all rows to a vector, in two steps.
    private func addColumns(of x: Tensor, to sums: DevicePointer) throws(PowerAttentionError) {
        let (rows, width) = (x.rowCount, x.rowWidth)
        let rowsOfPart = max(16, (rows + 1023) / 1024)
        let parts = (rows + rowsOfPart - 1) / rowsOfPart
        let partials = try context.tensor([parts, width], .float32)
        try launch(
            LayerSources.source("sums", "sum_columns", x.dataType, vector: 1),
            grid: .init(parts, (width + Self.threads - 1) / Self.threads), threads: Self.threads,
            [.tensor(x), .tensor(partials), .int(rows), .int(width), .int(rowsOfPart)])
        try addSums(of: partials, to: sums, nil, width: width)
    }

    package func add(_ x: inout Tensor, _ y: Tensor) throws(PowerAttentionError) {
        try pointwise("add", vector: vector(x.count), count: x.count, [.pointer(own(&x)), .tensor(y), .count(x.count)])
    }
}
