import CKernels
package import Tensors

extension CPUBackend {
    package func gelu(_ x: Tensor) -> Tensor {
        let type = x.dataType.kernelCode
        var y = Tensor(uninitialized: x.shape, x.dataType)
        let (input, output) = (x.storage, y.uniqueStorage())
        RowPartition(rows: x.count).forEach { _, first, end in CKernels.gelu(type, input.pointer, output.pointer, first, end) }
        return y
    }

    package func geluBackward(_ x: Tensor, gradient: inout Tensor) {
        let type = x.dataType.kernelCode
        let (input, output) = (x.storage, gradient.uniqueStorage())
        RowPartition(rows: x.count).forEach { _, first, end in
            gelu_backward(type, input.pointer, output.pointer, first, end)
        }
    }

    package func swiglu(_ x: Tensor) -> Tensor {
        let (type, width) = (x.dataType.kernelCode, x.rowWidth / 2)
        let rows = x.count / x.rowWidth
        var y = Tensor(uninitialized: x.shape.dropLast() + [width], x.dataType)
        let (input, output) = (x.storage, y.uniqueStorage())
        RowPartition(rows: rows, width: width).forEach { _, first, end in
            CKernels.swiglu(type, input.pointer, output.pointer, first, end, width)
        }
        return y
    }

    package func swigluBackward(_ x: Tensor, gradient: Tensor) -> Tensor {
        let (type, width) = (x.dataType.kernelCode, x.rowWidth / 2)
        let rows = x.count / x.rowWidth
        var inputGradient = Tensor(uninitialized: x.shape, x.dataType)
        let (input, outer, inner) = (x.storage, gradient.storage, inputGradient.uniqueStorage())
        RowPartition(rows: rows, width: width).forEach { _, first, end in
            swiglu_backward(type, input.pointer, outer.pointer, inner.pointer, first, end, width)
        }
        return inputGradient
    }

    package func logSigmoid(_ x: Tensor, bias: Tensor) -> Tensor {
        let (type, width) = (x.dataType.kernelCode, x.rowWidth)
        let rows = x.count / width
        var y = Tensor(uninitialized: x.shape, x.dataType)
        let (input, bias, output) = (x.storage, bias.storage, y.uniqueStorage())
        RowPartition(rows: rows, width: width).forEach { _, first, end in
            log_sigmoid(type, input.pointer, bias.pointer, output.pointer, first, end, width)
        }
        return y
    }

    package func logSigmoidBackward(_ x: Tensor, bias: Tensor, gradient: inout Tensor, biasGradient: inout Tensor) {
        let (type, width) = (x.dataType.kernelCode, x.rowWidth)
        let sums = ColumnSums(RowPartition(rows: x.count / width, width: width), columns: width, x.dataType)
        let (input, bias, output) = (x.storage, bias.storage, gradient.uniqueStorage())
        sums.forEach { partial, first, end in
            log_sigmoid_backward(type, input.pointer, bias.pointer, output.pointer, partial, first, end, width)
        }
        sums.add(to: &biasGradient)
    }
}
