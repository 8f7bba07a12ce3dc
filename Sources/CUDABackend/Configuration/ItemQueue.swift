/// The items that a block of Hopper's kernels has under way (`hopper/queue.cuh`).
enum ItemQueue {
    /// What a slot takes: an item of 32 bytes and two barriers, that it is known and that it is done.
    static let slotBytes = 32 + 8 + 8
}
