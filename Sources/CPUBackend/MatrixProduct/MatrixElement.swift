import CKernels
package import Tensors

/// An element type that has micro-kernels.
package protocol MatrixElement: TensorElement {
    static func matrixBlock(
        _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Self>, _ aRow: Int, _ aColumn: Int, _ b: UnsafePointer<Self>,
        _ bRow: Int, _ bColumn: Int, _ c: UnsafeMutablePointer<Self>, _ ldc: Int, _ accumulate: Int32,
        _ workspace: UnsafeMutablePointer<Self>)
    static func vectorProduct(
        _ n: Int, _ k: Int, _ x: UnsafePointer<Self>, _ b: UnsafePointer<Self>, _ bRow: Int, _ transposed: Bool,
        _ y: UnsafeMutablePointer<Self>, _ accumulate: Int32)
}

extension Float: MatrixElement {
    package static func matrixBlock(
        _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, _ aRow: Int, _ aColumn: Int, _ b: UnsafePointer<Float>,
        _ bRow: Int, _ bColumn: Int, _ c: UnsafeMutablePointer<Float>, _ ldc: Int, _ accumulate: Int32,
        _ workspace: UnsafeMutablePointer<Float>
    ) {
        matrix_block_float(m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, ldc, accumulate, workspace)
    }

    package static func vectorProduct(
        _ n: Int, _ k: Int, _ x: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ bRow: Int, _ transposed: Bool,
        _ y: UnsafeMutablePointer<Float>, _ accumulate: Int32
    ) {
        (transposed ? matrix_vector_float : vector_matrix_float)(n, k, x, b, bRow, y, accumulate)
    }
}

extension Double: MatrixElement {
    package static func matrixBlock(
        _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Double>, _ aRow: Int, _ aColumn: Int, _ b: UnsafePointer<Double>,
        _ bRow: Int, _ bColumn: Int, _ c: UnsafeMutablePointer<Double>, _ ldc: Int, _ accumulate: Int32,
        _ workspace: UnsafeMutablePointer<Double>
    ) {
        matrix_block_double(m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, ldc, accumulate, workspace)
    }

    package static func vectorProduct(
        _ n: Int, _ k: Int, _ x: UnsafePointer<Double>, _ b: UnsafePointer<Double>, _ bRow: Int, _ transposed: Bool,
        _ y: UnsafeMutablePointer<Double>, _ accumulate: Int32
    ) {
        (transposed ? matrix_vector_double : vector_matrix_double)(n, k, x, b, bRow, y, accumulate)
    }
}
