/// One launch of a kernel: what runs, over which grid, on what. A value, so that plans can be printed and tested without a card.
package struct KernelLaunch: Sendable, CustomStringConvertible {
    package struct Grid: Sendable, Hashable {
        package let x, y, z: Int

        package init(_ x: Int, _ y: Int = 1, _ z: Int = 1) {
            self.x = x
            self.y = y
            self.z = z
        }

        /// Nothing to do; such a launch is legal and skipped.
        package var isEmpty: Bool { x == 0 || y == 0 || z == 0 }
    }

    package let kernel: KernelSource
    package let grid: Grid
    /// Threads of a block.
    package let threads: Int
    /// Dynamic shared memory of a block, in bytes.
    package let sharedBytes: Int
    package let arguments: [KernelArgument]
    /// Whether blocks may start while the kernel before is under way, once all of its blocks have started and it lets the next one start:
    /// a programmatic dependent launch. The kernel itself waits for what it needs of that one, and for its end.
    package let startsEarly: Bool

    package init(
        _ kernel: KernelSource, grid: Grid, threads: Int, sharedBytes: Int = 0, arguments: [KernelArgument],
        startsEarly: Bool = false
    ) {
        self.kernel = kernel
        self.grid = grid
        self.threads = threads
        self.sharedBytes = sharedBytes
        self.arguments = arguments
        self.startsEarly = startsEarly
    }

    package var description: String {
        "\(kernel) grid \(grid.x)×\(grid.y)×\(grid.z), \(threads) threads, \(sharedBytes) bytes shared"
    }
}
