import CKernels
package import Tensors

/// A matrix product `C = A·B` (or `C += A·B`) on all cores: how it is cut into blocks, and the blocks.
///
/// C is cut into blocks of at most 512×512 and small enough that every core gets several; each block packs its operands and runs
/// the micro-kernel on them. Every element of C is summed in an order that depends on k alone, so that the bits of the result
/// depend neither on the number of cores nor on their timing.
package struct MatrixProduct: Sendable {
    package var rows, columns, depth: Int
    package var transposeA, transposeB: Bool

    package init(rows: Int, columns: Int, depth: Int, transposeA: Bool = false, transposeB: Bool = false) {
        self.rows = rows
        self.columns = columns
        self.depth = depth
        self.transposeA = transposeA
        self.transposeB = transposeB
    }

    /// The extents of the blocks of C.
    var block: (rows: Int, columns: Int) {
        var rowBlock = min(rows, Int(MATRIX_BLOCK_ROWS))
        var columnBlock = min(columns, Int(MATRIX_BLOCK_COLUMNS))
        func count() -> Int {
            ((rows + rowBlock - 1) / rowBlock) * ((columns + columnBlock - 1) / columnBlock)
        }
        while count() < 2 * coreCount, max(rowBlock, columnBlock) > 64 {
            if columnBlock >= rowBlock {
                columnBlock = (columnBlock / 2 + 31) / 32 * 32
            } else {
                rowBlock = (rowBlock / 2 + 23) / 24 * 24
            }
        }
        return (rowBlock, columnBlock)
    }

    /// The product over elements of one type.
    package func callAsFunction<Element: MatrixElement>(
        _ a: UnsafePointer<Element>, _ b: UnsafePointer<Element>, into c: UnsafeMutablePointer<Element>,
        accumulate: Bool = false
    ) {
        guard rows > 0, columns > 0 else { return }
        if rows <= 2 { return multiplyByVectors(a, b, into: c, accumulate: accumulate) }
        let (rowBlock, columnBlock) = block
        let columnBlocks = (columns + columnBlock - 1) / columnBlock
        let rowBlocks = (rows + rowBlock - 1) / rowBlock
        let (aRow, aColumn) = transposeA ? (1, rows) : (depth, 1)
        let (bRow, bColumn) = transposeB ? (1, depth) : (columns, 1)
        let (sharedA, sharedB, sharedC) = (SharedReadOnly(a), SharedReadOnly(b), Shared(c))
        parallelFor(rowBlocks * columnBlocks) { index in
            let row = index / columnBlocks * rowBlock
            let column = index % columnBlocks * columnBlock
            let workspace = Storage(byteCount: matrix_block_workspace() * MemoryLayout<Element>.stride)
            Element.matrixBlock(
                min(rowBlock, rows - row), min(columnBlock, columns - column), depth, sharedA.pointer + row * aRow, aRow,
                aColumn,
                sharedB.pointer + column * bColumn, bRow, bColumn, sharedC.pointer + row * columns + column, columns,
                accumulate ? 1 : 0, workspace.pointer.assumingMemoryBound(to: Element.self))
        }
    }

    /// One or two rows, as in decoding: bound by reading B, so nothing is packed.
    private func multiplyByVectors<Element: MatrixElement>(
        _ a: UnsafePointer<Element>, _ b: UnsafePointer<Element>, into c: UnsafeMutablePointer<Element>, accumulate: Bool
    ) {
        let span = max(64, (columns / (2 * coreCount) + 63) / 64 * 64)
        let (sharedA, sharedB, sharedC) = (SharedReadOnly(a), SharedReadOnly(b), Shared(c))
        let work = columns * depth
        let count = (columns + span - 1) / span
        let run: @Sendable (Int) -> Void = { index in
            let column = index * span
            let width = min(span, columns - column)
            for row in 0..<rows {
                var x: [Element] = []
                if transposeA && rows > 1 { x = (0..<depth).map { sharedA.pointer[$0 * rows + row] } }
                x.withUnsafeBufferPointer { gathered in
                    let vector = gathered.baseAddress.flatMap { x.isEmpty ? nil : $0 } ?? sharedA.pointer + row * depth
                    Element.vectorProduct(
                        width, depth, vector, sharedB.pointer + column * (transposeB ? depth : 1),
                        transposeB ? depth : columns, transposeB, sharedC.pointer + row * columns + column, accumulate ? 1 : 0)
                }
            }
        }
        if work < 1 << 15 {
            for index in 0..<count { run(index) }
        } else {
            parallelFor(count, run)
        }
    }
}

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
