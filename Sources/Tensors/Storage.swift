import Synchronization

/// A block of 64-byte-aligned host memory, returned to a pool when its last owner goes away.
///
/// A training step allocates the same sizes again and again. Fresh pages from the system cost more than the arithmetic on them,
/// so freed blocks are kept by size and handed out again; what the pool may hold idle is bounded.
package final class Storage: @unchecked Sendable {
    package let pointer: UnsafeMutableRawPointer
    package let byteCount: Int
    private let capacity: Int

    /// Memory with undefined contents.
    package init(byteCount: Int) {
        precondition(byteCount >= 0, "negative byte count")
        self.byteCount = byteCount
        capacity = StoragePool.capacity(for: byteCount)
        pointer = StoragePool.shared.take(capacity)
    }

    deinit { StoragePool.shared.give(pointer, capacity) }

    package func copy() -> Storage {
        let result = Storage(byteCount: byteCount)
        result.pointer.copyMemory(from: pointer, byteCount: byteCount)
        return result
    }
}

/// The blocks that are free, by capacity.
private final class StoragePool: Sendable {
    static let shared = StoragePool()
    static let idleLimit = 2 << 30

    private struct State {
        var free: [Int: [UInt]] = [:]
        var idleBytes = 0
    }
    private let state = Mutex(State())

    /// Capacities step by an eighth of a power of two, so that a block wastes at most 12.5% and blocks are reused across sizes.
    static func capacity(for byteCount: Int) -> Int {
        let minimum = max(byteCount, 64)
        let step = max(64, 1 << max(0, (Int.bitWidth - 1 - minimum.leadingZeroBitCount) - 3))
        return (minimum + step - 1) / step * step
    }

    func take(_ capacity: Int) -> UnsafeMutableRawPointer {
        let reused = state.withLock { state -> UInt? in
            guard let address = state.free[capacity]?.popLast() else { return nil }
            state.idleBytes -= capacity
            return address
        }
        if let reused, let pointer = UnsafeMutableRawPointer(bitPattern: reused) { return pointer }
        return UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64)
    }

    func give(_ pointer: UnsafeMutableRawPointer, _ capacity: Int) {
        let kept = state.withLock { state -> Bool in
            guard state.idleBytes + capacity <= Self.idleLimit else { return false }
            state.free[capacity, default: []].append(UInt(bitPattern: pointer))
            state.idleBytes += capacity
            return true
        }
        if !kept { pointer.deallocate() }
    }
}
