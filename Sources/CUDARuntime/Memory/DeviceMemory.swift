/// Memory of a card that goes back to its allocator with its last owner. Work that was queued before that still finds it.
package final class DeviceMemory: Sendable {
    package let pointer: DevicePointer
    /// As asked for; the block may be larger.
    package let byteCount: Int
    private let allocator: DeviceAllocator

    init(_ allocator: DeviceAllocator, address: UInt64, byteCount: Int) {
        self.allocator = allocator
        pointer = DevicePointer(address: address)
        self.byteCount = byteCount
    }

    deinit { allocator.release(pointer.address) }
}
