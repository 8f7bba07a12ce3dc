import CUDARuntime
import Tensors

/// A part of a step's batch in pinned memory, from which a card copies it while the host does something else.
final class PinnedBatch: Sendable {
    /// `rows · length` int32 each.
    let tokens, targets: PinnedMemory

    init(_ context: CUDAContext, tokens count: Int) throws(PowerAttentionError) {
        tokens = try context.pinned(4 * count)
        targets = try context.pinned(4 * count)
    }

    func fill(_ batch: Batch) {
        batch.tokens.withUnsafeBytes { tokens.bytes.copyMemory(from: $0) }
        batch.targets.withUnsafeBytes { targets.bytes.copyMemory(from: $0) }
    }
}
