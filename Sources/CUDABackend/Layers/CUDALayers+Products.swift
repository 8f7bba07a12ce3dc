import CUDARuntime
package import Tensors

extension CUDALayers {
    package func multiply(
        _ a: Tensor, transposeA: Bool, _ b: Tensor, transposeB: Bool, into c: inout Tensor, accumulate: Bool
    ) throws(PowerAttentionError) {
        let (left, right) = (Self.extents(a, transposeA), Self.extents(b, transposeB))
        let (m, n, k) = (min(left.rows, c.rowCount), min(right.columns, c.rowWidth), min(left.columns, right.rows))
        precondition(a.dataType == b.dataType, "product of \(a.dataType) and \(b.dataType)")
        guard m > 0, n > 0, k > 0 else { return }
        let shape = ProductShape(
            m: m, n: n, k: k, transposeA: transposeA, transposeB: transposeB, strideA: a.rowWidth, strideB: b.rowWidth,
            strideC: c.rowWidth, input: a.dataType, output: c.dataType)
        // Those who share the elements of C keep them: the product reads them there, and the sum goes elsewhere.
        let shared = c.isUnique() ? nil : c
        if accumulate, (m, n) != (c.rowCount, c.rowWidth) {
            _ = try own(&c)
        } else if shared != nil {
            c = try context.tensor(c.shape, c.dataType)
        }
        try products.multiply(
            shape, a.devicePointer, b.devicePointer, into: c.devicePointer,
            adding: accumulate ? (shared ?? c).devicePointer : nil)
        withExtendedLifetime(shared) {}
    }

    package func multiplyGELU(
        _ x: Tensor, weight: Tensor
    ) throws(PowerAttentionError) -> (hidden: Tensor, activated: Tensor) {
        let (m, n, k) = (x.rowCount, weight.rowCount, x.rowWidth)
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
        let (m, n, k) = (hidden.rowCount, hidden.rowWidth, gradient.rowWidth)
        var result = try context.tensor([m, n], hidden.dataType)
        let shape = ProductShape(
            m: m, n: n, k: k, transposeA: false, transposeB: false, strideA: k, strideB: n, strideC: n,
            input: gradient.dataType, output: hidden.dataType, epilogue: .geluGradient)
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

    /// Rows and columns of a tensor read as a matrix whose columns are its last index, after transposition.
    private static func extents(_ tensor: Tensor, _ transposed: Bool) -> (rows: Int, columns: Int) {
        transposed ? (tensor.rowWidth, tensor.rowCount) : (tensor.rowCount, tensor.rowWidth)
    }
}
