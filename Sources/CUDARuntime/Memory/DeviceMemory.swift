/// A piece of a card's memory, given back when its last owner goes away.
///
/// Pieces are reused in the order of the stream: what was launched before on a piece ends before what is launched after.
package final class DeviceMemory: Sendable {
    package let pointer: DevicePointer
    /// The size that was asked for.
    package let byteCount: Int
    private let block: CachingAllocator.Block
    private let allocator: CachingAllocator

    init(_ block: CachingAllocator.Block, byteCount: Int, allocator: CachingAllocator) {
        pointer = DevicePointer(address: block.address)
        self.byteCount = byteCount
        self.block = block
        self.allocator = allocator
    }

    deinit { allocator.give(block) }
}
