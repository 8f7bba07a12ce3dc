import CUDARuntime
import Synchronization
package import Tensors

extension CUDALayers {
    package func layerNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor
    ) throws(PowerAttentionError) -> (y: Tensor, statistics: Tensor) {
        try norm(x, weight: weight, bias: bias)
    }

    package func rmsNorm(_ x: Tensor, weight: Tensor) throws(PowerAttentionError) -> (y: Tensor, statistics: Tensor) {
        try norm(x, weight: weight, bias: nil)
    }

    package func layerNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, into inputGradient: inout Tensor, accumulate: Bool,
        weightGradient: inout Tensor, biasGradient: inout Tensor
    ) throws(PowerAttentionError) {
        let partials = try normBackward(
            x, weight: weight, statistics: statistics, gradient: gradient, into: &inputGradient, accumulate: accumulate,
            isCentered: true)
        try addSums(of: partials, to: own(&weightGradient), own(&biasGradient), width: weight.count)
    }

    package func rmsNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, into inputGradient: inout Tensor, accumulate: Bool,
        weightGradient: inout Tensor
    ) throws(PowerAttentionError) {
        let partials = try normBackward(
            x, weight: weight, statistics: statistics, gradient: gradient, into: &inputGradient, accumulate: accumulate,
            isCentered: false)
        try addSums(of: partials, to: own(&weightGradient), nil, width: weight.count)
    }

    private func kernel(
        _ function: String, _ configuration: NormConfiguration, isCentered: Bool
    ) -> KernelSource {
        source(
            "norm", function, vector: configuration.vector, configuration.macros + [("CENTERED", isCentered ? 1 : 0)])
    }

    private func norm(
        _ x: Tensor, weight: Tensor, bias: Tensor?
    ) throws(PowerAttentionError) -> (y: Tensor, statistics: Tensor) {
        let (rows, width) = (x.rowCount, x.rowWidth)
        let configuration = try NormConfiguration(width: width, vector: vector(width))
        let y = try context.tensor(x.shape, x.dataType)
        let statistics = try context.tensor(bias == nil ? [rows] : [rows, 2], .float32)
        let flag = flags.withLock { $0[weight.devicePointer.address] }
        try launch(
            kernel("normalize", configuration, isCentered: bias != nil),
            grid: .init((rows + configuration.rows - 1) / configuration.rows),
            threads: configuration.threads * configuration.rows,
            [
                .tensor(x), .tensor(weight), .tensor(bias), .tensor(y), .tensor(statistics), .pointer(flag), .int(rows),
                .int(width),
            ])
        return (y, statistics)
    }

    /// The parts of the gradients of weight and bias, `[parts, width]` or `[parts, 2 · width]`.
    private func normBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, into inputGradient: inout Tensor, accumulate: Bool,
        isCentered: Bool
    ) throws(PowerAttentionError) -> Tensor {
        let (rows, width) = (x.rowCount, x.rowWidth)
        let configuration = try NormConfiguration(width: width, vector: vector(width))
        let blocks = min(
            (rows + configuration.rows - 1) / configuration.rows,
            configuration.resident * context.properties.multiprocessorCount)
        let partials = try context.tensor([blocks, (isCentered ? 2 : 1) * width], .float32)
        try launch(
            kernel("norm_backward", configuration, isCentered: isCentered), grid: .init(blocks),
            threads: configuration.threads * configuration.rows,
            [
                .tensor(x), .tensor(weight), .tensor(statistics), .tensor(gradient), .pointer(own(&inputGradient)),
                .tensor(partials), .int(rows), .int(width), .flag(accumulate),
            ])
        return partials
    }

    /// Adds the sums of the columns of `partials` to a vector and, those behind its width, to a second one.
    func addSums(
        of partials: Tensor, to first: DevicePointer, _ second: DevicePointer?, width: Int
    ) throws(PowerAttentionError) {
        let columns = partials.rowWidth
        try launch(
            source("sums", "add_partial_sums", vector: 1), grid: .init((columns + 31) / 32), threads: 1024,
            [
                .tensor(partials), .pointer(first), .pointer(second), .int(partials.rowCount), .int(columns), .int(width),
            ])
    }
}
