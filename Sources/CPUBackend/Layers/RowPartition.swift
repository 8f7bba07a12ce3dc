import Tensors

/// How the rows of a tensor are shared out among cores: runs of about 32,768 elements.
///
/// The runs depend on the extents alone, so that sums over rows, added up run by run, have the same bits on any number of cores.
struct RowPartition: Sendable {
    let rows: Int
    let rowsInRun: Int

    init(rows: Int, width: Int = 1) {
        self.rows = rows
        rowsInRun = max(1, (1 << 15) / max(width, 1))
    }

    /// The number of runs.
    var count: Int { (rows + rowsInRun - 1) / rowsInRun }

    /// Calls `body` with every run and its number, on all cores.
    func forEach(_ body: @Sendable (_ run: Int, _ first: Int, _ end: Int) -> Void) {
        parallelFor(count) { run in body(run, run * rowsInRun, min(rows, (run + 1) * rowsInRun)) }
    }
}

extension Tensor {
    /// The number of elements in a row.
    var rowWidth: Int { shape.last ?? 1 }

    /// The memory of the elements, after making sure that no other tensor shares them.
    mutating func uniqueStorage() -> Storage {
        _ = mutablePointer(to: UInt8.self)
        return storage
    }
}

extension Storage {
    /// The elements of a tensor of int32.
    var tokens: UnsafePointer<Int32> { UnsafePointer(pointer.assumingMemoryBound(to: Int32.self)) }
}
