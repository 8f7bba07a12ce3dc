import Tensors

/// Scratch memory of one work item, handed out piece by piece.
struct Workspace: ~Copyable {
    private let storage: Storage
    private var used = 0

    /// Room for `floats` numbers in at most `pieces` pieces.
    init(floats: Int, pieces: Int) { storage = Storage(byteCount: 4 * floats + 64 * pieces) }

    /// The next `count` floats, 64-byte aligned, not initialized.
    mutating func take(_ count: Int) -> UnsafeMutablePointer<Float> {
        precondition(used + 4 * count <= storage.byteCount, "workspace too small")
        let result = (storage.pointer + used).assumingMemoryBound(to: Float.self)
        used += (4 * count + 63) / 64 * 64
        return result
    }

    /// The next `count` floats, all zero.
    mutating func takeZeros(_ count: Int) -> UnsafeMutablePointer<Float> {
        let result = take(count)
        result.update(repeating: 0, count: count)
        return result
    }
}
