/// A recording of queued work that is queued again as a whole, with the same memory and the same arguments.
///
/// Every block of memory that the work uses stays reserved for as long as the graph lives.
package struct Graph: ~Copyable, Sendable {
    let executable: GraphExecutable
    private let allocator: DeviceAllocator
    private let blocks: [UInt64]
    private let copies: [HostBytes]

    init(_ executable: consuming GraphExecutable, _ allocator: DeviceAllocator, blocks: [UInt64], copies: [HostBytes]) {
        self.executable = executable
        self.allocator = allocator
        self.blocks = blocks
        self.copies = copies
    }

    deinit {
        for block in blocks { allocator.release(block) }
    }
}
