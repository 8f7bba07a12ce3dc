import CKernels
package import Tensors

extension CPUBackend {
    package func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor) -> (y: Tensor, statistics: Tensor) {
        let (type, width) = (x.dataType.kernelCode, x.rowWidth)
        let rows = x.count / width
        var y = Tensor(uninitialized: x.shape, x.dataType)
        var statistics = Tensor(uninitialized: [rows, 2], x.dataType)
        let (output, sums) = (y.uniqueStorage(), statistics.uniqueStorage())
        let (x, weight, bias) = (x.storage, weight.storage, bias.storage)
        RowPartition(rows: rows, width: width).forEach { _, first, end in
            layer_norm(
                type, x.pointer, weight.pointer, bias.pointer, output.pointer, sums.pointer, first, end, width)
        }
        return (y, statistics)
    }

    package func layerNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, into inputGradient: inout Tensor,
        accumulate: Bool, weightGradient: inout Tensor, biasGradient: inout Tensor
    ) {
        let (type, width) = (x.dataType.kernelCode, x.rowWidth)
        let rows = RowPartition(rows: x.count / width, width: width)
        let partials = ColumnSums(rows, columns: 2 * width, x.dataType)
        let (x, weight, statistics, gradient) = (x.storage, weight.storage, statistics.storage, gradient.storage)
        let output = inputGradient.uniqueStorage()
        partials.forEach { partial, first, end in
            layer_norm_backward(
                type, x.pointer, weight.pointer, statistics.pointer, gradient.pointer, output.pointer, accumulate ? 1 : 0,
                partial, first, end, width)
        }
        partials.add(to: &weightGradient)
        partials.add(to: &biasGradient, firstColumn: width)
    }

    package func rmsNorm(_ x: Tensor, weight: Tensor) -> (y: Tensor, statistics: Tensor) {
        let (type, width) = (x.dataType.kernelCode, x.rowWidth)
        let rows = x.count / width
        var y = Tensor(uninitialized: x.shape, x.dataType)
        var statistics = Tensor(uninitialized: [rows], x.dataType)
        let (output, sums) = (y.uniqueStorage(), statistics.uniqueStorage())
        let (x, weight) = (x.storage, weight.storage)
        RowPartition(rows: rows, width: width).forEach { _, first, end in
            rms_norm(type, x.pointer, weight.pointer, output.pointer, sums.pointer, first, end, width)
        }
        return (y, statistics)
    }

    package func rmsNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, into inputGradient: inout Tensor,
        accumulate: Bool, weightGradient: inout Tensor
    ) {
        let (type, width) = (x.dataType.kernelCode, x.rowWidth)
        let rows = RowPartition(rows: x.count / width, width: width)
        let partials = ColumnSums(rows, columns: width, x.dataType)
        let (x, weight, statistics, gradient) = (x.storage, weight.storage, statistics.storage, gradient.storage)
        let output = inputGradient.uniqueStorage()
        partials.forEach { partial, first, end in
            rms_norm_backward(
                type, x.pointer, weight.pointer, statistics.pointer, gradient.pointer, output.pointer, accumulate ? 1 : 0,
                partial, first, end, width)
        }
        partials.add(to: &weightGradient)
    }
}
