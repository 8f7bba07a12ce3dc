package import BackendInterface
package import Tensors

/// The language model's head: logits `x·Wᵀ` over the vocabulary, and the cross-entropy of the next token.
///
/// At a vocabulary of 50,257 the logits of a batch would be larger than everything else together: they exist for one chunk of
/// rows at a time, and their gradient takes their place.
package struct Head {
    let weight: Parameter
    let kernels: any LayerKernels
    /// The number of logits that exist at a time, at most, unless a single row has more.
    let chunkElements: Int

    package init(weight: Parameter, _ kernels: any LayerKernels, chunkElements: Int = 1 << 24) {
        self.weight = weight
        self.kernels = kernels
        self.chunkElements = chunkElements
    }

    /// `[rows, vocabulary]`.
    package func logits(_ x: Tensor) -> Tensor {
        var logits = Tensor(uninitialized: [x.shape[0], weight.value.shape[0]], x.dataType)
        kernels.multiply(x, transposeA: false, weight.value, transposeB: true, into: &logits, accumulate: false)
        return logits
    }

    /// `−log softmax(logits)[target]` in nats for every row, zero where the target is negative.
    package func losses(_ x: Tensor, targets: [Int32]) -> Tensor {
        var losses = Tensor(uninitialized: [targets.count], x.dataType)
        for rows in chunks(targets.count) {
            var logits = logits(x.rows(rows))
            losses.setRows(rows, kernels.crossEntropy(&logits, targets: Array(targets[rows]), gradientScale: nil))
        }
        return losses
    }

    /// The sum of the losses; adds the weight's gradient and gives the input's for `gradientScale` times that sum.
    package func backward(_ x: Tensor, targets: [Int32], gradientScale: Double) -> (loss: Double, gradient: Tensor) {
        var loss = 0.0
        var gradient = Tensor(uninitialized: x.shape, x.dataType)
        for rows in chunks(targets.count) {
            let x = x.rows(rows)
            var logits = logits(x)
            let losses = kernels.crossEntropy(&logits, targets: Array(targets[rows]), gradientScale: gradientScale)
            loss += losses.converted(to: .float64).array(of: Double.self).reduce(0, +)
            kernels.multiply(logits, transposeA: true, x, transposeB: false, into: &weight.gradient, accumulate: true)
            var rowGradient = Tensor(uninitialized: x.shape, x.dataType)
            kernels.multiply(
                logits, transposeA: false, weight.value, transposeB: false, into: &rowGradient, accumulate: false)
            gradient.setRows(rows, rowGradient)
        }
        return (loss, gradient)
    }

    /// Runs of rows of nearly equal length, few enough at a time.
    private func chunks(_ rows: Int) -> [Range<Int>] {
        let most = max(1, chunkElements / weight.value.shape[0])
        let count = (rows + most - 1) / most
        return (0..<count).map { $0 * rows / count..<($0 + 1) * rows / count }
    }
}

extension Tensor {
    /// A copy of some rows; the tensor itself where that is all of them.
    func rows(_ range: Range<Int>) -> Tensor {
        guard range != 0..<shape[0] else { return self }
        let rowBytes = storage.byteCount / shape[0]
        let result = Tensor(uninitialized: [range.count] + shape.dropFirst(), dataType)
        result.storage.pointer.copyMemory(
            from: storage.pointer + range.lowerBound * rowBytes, byteCount: range.count * rowBytes)
        return result
    }

    /// Overwrites some rows; takes the other tensor's place where that is all of them.
    mutating func setRows(_ range: Range<Int>, _ rows: Tensor) {
        guard range != 0..<shape[0] else { return self = rows }
        let rowBytes = storage.byteCount / shape[0]
        let target = UnsafeMutableRawPointer(mutablePointer(to: UInt8.self)) + range.lowerBound * rowBytes
        target.copyMemory(from: rows.storage.pointer, byteCount: rows.storage.byteCount)
    }
}
