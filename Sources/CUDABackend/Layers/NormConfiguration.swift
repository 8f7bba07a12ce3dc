import Tensors

/// How the threads of `layers/norm.cu` share the numbers of a row.
struct NormConfiguration: Sendable, Hashable {
    let vector: Int
    /// Groups of `vector` numbers a thread.
    let groups: Int
    /// Threads a row, and rows a block.
    let threads, rows: Int

    /// Blocks of the backward pass that a multiprocessor holds at once: two where threads keep so many numbers that three would spill.
    var resident: Int { threads * rows > 512 ? 1 : groups * vector > 24 ? 2 : 3 }

    /// - Throws: `unsupported` where a row has more numbers than a block can hold.
    init(width: Int, vector: Int) throws(PowerAttentionError) {
        let parts = (width + vector - 1) / vector
        self.vector = vector
        if parts <= 4 * 32 {
            (groups, threads, rows) = ((parts + 31) / 32, 32, 4)
        } else {
            (groups, threads, rows) = (1, (parts + 31) / 32 * 32, 1)
        }
        guard threads <= 1024 else {
            throw PowerAttentionError(
                .unsupported, argument: "width", given: "\(width)",
                expected: "at most \(1024 * vector) on a GPU, or a multiple of 8")
        }
    }

    var macros: [(String, Int)] { [("GROUPS", groups), ("THREADS", threads), ("ROWS", rows)] }
}
