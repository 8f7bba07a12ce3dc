package import Tensors

extension CPUBackend {
    package func multiply(
        _ a: Tensor, transposeA: Bool = false, _ b: Tensor, transposeB: Bool = false, into c: inout Tensor,
        accumulate: Bool = false
    ) {
        let (rows, depth) = Self.extents(a, transposed: transposeA)
        let (inner, columns) = Self.extents(b, transposed: transposeB)
        precondition(depth == inner && c.count == rows * columns, "product of \(a.shape) and \(b.shape) into \(c.shape)")
        precondition(a.dataType == c.dataType && b.dataType == c.dataType, "product of mixed types")
        let product = MatrixProduct(
            rows: rows, columns: columns, depth: depth, transposeA: transposeA, transposeB: transposeB)
        OperationClock.measure(.matrixProduct(operations: 2 * Double(rows) * Double(columns) * Double(depth))) {
            if c.dataType == .float64 {
                product(a.pointer(to: Double.self), b.pointer(), into: c.mutablePointer(), accumulate: accumulate)
            } else {
                product(a.pointer(to: Float.self), b.pointer(), into: c.mutablePointer(), accumulate: accumulate)
            }
        }
        withExtendedLifetime((a, b)) {}
    }

    /// Rows and columns of a tensor read as a matrix whose columns are its last index, after transposition.
    private static func extents(_ tensor: Tensor, transposed: Bool) -> (Int, Int) {
        let columns = tensor.shape.last ?? 1
        let rows = tensor.shape.dropLast().reduce(1, *)
        return transposed ? (columns, rows) : (rows, columns)
    }
}
