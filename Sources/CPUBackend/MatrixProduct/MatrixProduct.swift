import CKernels
import Tensors

/// A matrix product `C = A·B` (or `C += A·B`) on all cores: how it is cut into blocks, and the blocks.
///
/// C is cut into blocks of at most 512×512 and small enough that every core gets several; each block packs its operands and runs
/// the micro-kernel on them. Where C is small and k is large, as in the gradients of weights, k is cut instead, so that the
/// operands are read once. Every element of C is summed in an order that depends on the extents alone: the bits of the result
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
        guard depthParts > 1 else {
            return multiply(a, b, parts: 1, block: block, into: c, accumulate: accumulate)
        }
        let count = rows * columns
        let partial = Storage(byteCount: depthParts * count * MemoryLayout<Element>.stride)
        let sums = partial.pointer.assumingMemoryBound(to: Element.self)
        multiply(
            a, b, parts: depthParts, block: (Int(MATRIX_BLOCK_ROWS), Int(MATRIX_BLOCK_COLUMNS)), into: sums,
            accumulate: false)
        if !accumulate {
            UnsafeMutableRawPointer(c).initializeMemory(
                as: UInt8.self, repeating: 0, count: count * MemoryLayout<Element>.stride)
        }
        let (sharedSums, sharedC) = (SharedReadOnly(UnsafePointer(sums)), Shared(c))
        let span = (count + depthParts - 1) / depthParts
        parallelFor(depthParts) { index in
            let (start, end) = (min(index * span, count), min((index + 1) * span, count))
            add_partial_sums(
                Element.dataType.kernelCode, sharedSums.pointer + start, depthParts, count, sharedC.pointer + start,
                end - start)
        }
        withExtendedLifetime(partial) {}
    }

    /// In how many parts k is cut: enough for eight blocks, each at least 1,024 deep.
    private var depthParts: Int {
        let blocks =
            ((rows + Int(MATRIX_BLOCK_ROWS) - 1) / Int(MATRIX_BLOCK_ROWS))
            * ((columns + Int(MATRIX_BLOCK_COLUMNS) - 1) / Int(MATRIX_BLOCK_COLUMNS))
        return max(1, min(8 / blocks, depth / 1024))
    }

    /// One product for every part of k, side by side in `sums`, each cut into blocks of C.
    private func multiply<Element: MatrixElement>(
        _ a: UnsafePointer<Element>, _ b: UnsafePointer<Element>, parts: Int, block: (rows: Int, columns: Int),
        into sums: UnsafeMutablePointer<Element>, accumulate: Bool
    ) {
        let columnBlocks = (columns + block.columns - 1) / block.columns
        let blocks = (rows + block.rows - 1) / block.rows * columnBlocks
        let (sharedA, sharedB, sharedSums) = (SharedReadOnly(a), SharedReadOnly(b), Shared(sums))
        parallelFor(parts * blocks) { index in
            let (part, place) = (index / blocks, index % blocks)
            let (row, column) = (place / columnBlocks * block.rows, place % columnBlocks * block.columns)
            multiplyBlock(
                sharedA.pointer, sharedB.pointer, row..<min(row + block.rows, rows),
                column..<min(column + block.columns, columns), depth * part / parts..<depth * (part + 1) / parts,
                into: sharedSums.pointer + part * rows * columns, accumulate: accumulate)
        }
    }

    /// The product for one block of C and a range of k, on one core.
    private func multiplyBlock<Element: MatrixElement>(
        _ a: UnsafePointer<Element>, _ b: UnsafePointer<Element>, _ blockRows: Range<Int>, _ blockColumns: Range<Int>,
        _ depths: Range<Int>, into c: UnsafeMutablePointer<Element>, accumulate: Bool
    ) {
        let (aRow, aColumn) = transposeA ? (1, rows) : (depth, 1)
        let (bRow, bColumn) = transposeB ? (1, depth) : (columns, 1)
        let workspace = Storage(byteCount: matrix_block_workspace() * MemoryLayout<Element>.stride)
        Element.matrixBlock(
            blockRows.count, blockColumns.count, depths.count, a + blockRows.lowerBound * aRow + depths.lowerBound * aColumn,
            aRow, aColumn, b + blockColumns.lowerBound * bColumn + depths.lowerBound * bRow, bRow, bColumn,
            c + blockRows.lowerBound * columns + blockColumns.lowerBound, columns, accumulate ? 1 : 0,
            workspace.pointer.assumingMemoryBound(to: Element.self))
        withExtendedLifetime(workspace) {}
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
