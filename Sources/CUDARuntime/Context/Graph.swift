import Tensors

/// Work that was recorded once, and is launched as one piece. It keeps the memory that it works on.
package struct Graph: ~Copyable {
    let executable: Driver.Handle
    private let driver: Driver
    private let allocator: CachingAllocator
    private let blocks: Set<CachingAllocator.Block>

    init(
        _ graph: Driver.Handle, _ driver: Driver, allocator: CachingAllocator, blocks: Set<CachingAllocator.Block>
    ) throws(PowerAttentionError) {
        var executable: Driver.Handle = 0
        let status = driver.instantiateGraph(&executable, graph)
        _ = driver.destroyGraph(graph)
        if status != 0 { allocator.release(blocks) }
        try driver.check(status, "cuGraphInstantiate")
        self.executable = executable
        self.driver = driver
        self.allocator = allocator
        self.blocks = blocks
    }

    deinit {
        _ = driver.destroyExecutable(executable)
        allocator.release(blocks)
    }
}
