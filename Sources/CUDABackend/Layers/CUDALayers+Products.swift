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
        let place: DevicePointer
        if accumulate || c.isUnique() {
            place = try own(&c)
        } else {
            c = try context.tensor(c.shape, c.dataType)
            place = c.devicePointer
        }
        try products.multiply(shape, a.devicePointer, b.devicePointer, into: place, accumulate: accumulate)
    }

    /// Rows and columns of a tensor read as a matrix whose columns are its last index, after transposition.
    private static func extents(_ tensor: Tensor, _ transposed: Bool) -> (rows: Int, columns: Int) {
        transposed ? (tensor.rowWidth, tensor.rowCount) : (tensor.rowCount, tensor.rowWidth)
    }
}
