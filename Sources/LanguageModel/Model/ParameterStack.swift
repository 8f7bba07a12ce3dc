import BackendInterface
package import Tensors

/// Matrices with rows of one length that stand one below the other in the memory of a device: products read them, and add to their
/// gradients, as one matrix. For checkpoints and the optimizer they are parameters like all others.
///
/// Each begins at a whole ``LayerKernels/columnAlignment`` rows; rows between them are zeros.
package final class ParameterStack {
    /// The rows of every parameter, with the zeros behind them.
    package let rows: [Range<Int>]
    /// The values in the type of activations.
    package let operand: Tensor
    private var sum: Tensor?
    /// See ``Parameter/overwriteGradient()``.
    private var isOutdated = false

    /// Moves the parameters to the device of the kernels.
    ///
    /// - Precondition: they are in host memory, and the kernels have an `activationType`.
    init(_ parameters: [Parameter], by kernels: any LayerKernels) throws(PowerAttentionError) {
        guard let type = kernels.activationType else { preconditionFailure("a stack of parameters on the host") }
        var rows: [Range<Int>] = []
        for parameter in parameters {
            let first = rows.last?.upperBound ?? 0
            rows.append(first..<first + kernels.aligned(parameter.value.shape[0]))
        }
        var operand = try kernels.uninitialized([rows.last?.upperBound ?? 0, parameters[0].value.shape[1]], type)
        try kernels.zero(&operand)
        for (parameter, rows) in zip(parameters, rows) {
            try kernels.setRows(&operand, from: rows.lowerBound, to: kernels.place(parameter.value.converted(to: type)))
        }
        self.rows = rows
        self.operand = operand
        for (parameter, rows) in zip(parameters, rows) { try parameter.place(in: self, rows, by: kernels) }
    }

    /// The sum of all gradients, in the rows of the operand.
    package var gradientSum: Tensor {
        get { sum ?? Tensor(operand.shape, .float32) }
        _modify {
            if sum == nil { sum = Tensor(operand.shape, .float32) }
            yield &sum!
        }
    }

    /// Makes sure that there is memory for gradients.
    func makeGradient(by kernels: any LayerKernels) throws(PowerAttentionError) {
        guard sum == nil else { return }
        var zeros = try kernels.uninitialized(operand.shape, .float32)
        try kernels.zero(&zeros)
        sum = zeros
    }

    /// Adds the gradients of all: columns of `gradient` are rows of the operand.
    func addProduct(_ gradient: Tensor, _ x: Tensor, by kernels: any LayerKernels) throws(PowerAttentionError) {
        try kernels.multiply(
            gradient, transposeA: true, x, transposeB: false, into: &gradientSum, accumulate: !isOutdated)
        isOutdated = false
    }

    func overwriteGradient() { isOutdated = true }

    func zeroGradient(by kernels: any LayerKernels) throws(PowerAttentionError) {
        isOutdated = false
        guard sum != nil else { return }
        try kernels.zero(&sum!)
    }
}
