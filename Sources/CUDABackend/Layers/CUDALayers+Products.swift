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

    /// Rows and columns of a tensor read as a matrix whose columns are its last index, after transposition.
    private static func extents(_ tensor: Tensor, _ transposed: Bool) -> (rows: Int, columns: Int) {
        transposed ? (tensor.rowWidth, tensor.rowCount) : (tensor.rowCount, tensor.rowWidth)
    }
}
