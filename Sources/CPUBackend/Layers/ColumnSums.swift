import CKernels
import Tensors

/// Sums over rows, kept one set a run of rows and added up in the order of the runs: the same bits whatever thread was first.
struct ColumnSums {
    private let rows: RowPartition
    private let columns: Int
    private let partials: Tensor

    init(_ rows: RowPartition, columns: Int, _ dataType: DataType) {
        self.rows = rows
        self.columns = columns
        partials = Tensor(uninitialized: [rows.count, columns], dataType)
    }

    /// Calls `body` with every run of rows and the place for its `columns` sums, which it must write.
    func forEach(_ body: @Sendable (_ partial: UnsafeMutableRawPointer, _ first: Int, _ end: Int) -> Void) {
        let storage = partials.storage
        let stride = columns * partials.dataType.byteCount
        rows.forEach { run, first, end in body(storage.pointer + run * stride, first, end) }
    }

    /// Adds the columns from `firstColumn` on to a vector.
    func add(to vector: inout Tensor, firstColumn: Int = 0) {
        let width = vector.count
        let offset = firstColumn * partials.dataType.byteCount
        let destination = vector.uniqueStorage()
        add_partial_sums(
            partials.dataType.kernelCode, partials.storage.pointer + offset, rows.count, columns, destination.pointer, width)
    }
}
