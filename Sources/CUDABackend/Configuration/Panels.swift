/// Matrices in the shared memory of Hopper's kernels: panels of 64 columns (`common/hopper.cuh`).
enum Panels {
    /// The numbers that a matrix takes.
    static func numbers(_ rows: Int, _ columns: Int) -> Int { rows * ((columns + 63) / 64 * 64) }
}
