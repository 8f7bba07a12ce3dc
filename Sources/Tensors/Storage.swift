import Synchronization

/// The memory of a tensor: a block of 64-byte-aligned host memory, a block of a device, or a part of another storage.
///
/// A block of the host goes back to a pool when its last owner goes away. A training step allocates the same sizes again and again. Fresh pages from the system cost more than the arithmetic on them,
/// so freed blocks are kept by size and handed out again; what the pool may hold idle is bounded.
package final class Storage: @unchecked Sendable {
    package let byteCount: Int
    /// Whether this is a part of another storage, which sees what is written here.
    package let isPart: Bool
    private let owner: Owner
    private let hostPointer: UnsafeMutableRawPointer?

    private enum Owner {
        case pool(capacity: Int)
        case device(any DeviceBuffer, offset: Int, of: Storage?)
        case host(Storage)
    }

    /// Host memory with undefined contents.
    package init(byteCount: Int) {
        precondition(byteCount >= 0, "negative byte count")
        self.byteCount = byteCount
        let capacity = StoragePool.capacity(for: byteCount)
        owner = .pool(capacity: capacity)
        hostPointer = StoragePool.shared.take(capacity)
        isPart = false
    }

    /// The first bytes of a block of a device.
    package init(_ buffer: any DeviceBuffer, byteCount: Int) {
        precondition(byteCount <= buffer.byteCount, "\(byteCount) of \(buffer.byteCount) bytes")
        self.byteCount = byteCount
        owner = .device(buffer, offset: 0, of: nil)
        hostPointer = nil
        isPart = false
    }

    /// Some bytes of another storage.
    package init(_ bytes: Range<Int>, of whole: Storage) {
        precondition(bytes.lowerBound >= 0 && bytes.upperBound <= whole.byteCount, "\(bytes) of \(whole.byteCount) bytes")
        byteCount = bytes.count
        switch whole.owner {
        case .device(let buffer, let offset, _):
            // A part keeps the whole alive: it is not written to in place while a part is read.
            owner = .device(buffer, offset: offset + bytes.lowerBound, of: whole)
            hostPointer = nil
        case .pool, .host:
            owner = .host(whole)
            hostPointer = whole.pointer + bytes.lowerBound
        }
        isPart = true
    }

    deinit {
        if case .pool(let capacity) = owner { StoragePool.shared.give(pointer, capacity) }
    }

    /// - Precondition: the memory is the host's.
    package var pointer: UnsafeMutableRawPointer {
        guard let hostPointer else { preconditionFailure("memory of a device read by the host") }
        return hostPointer
    }

    package var isOnDevice: Bool { hostPointer == nil }

    /// The block of the device and the first byte in it; `nil` in host memory.
    package var devicePlace: (buffer: any DeviceBuffer, offset: Int)? {
        if case .device(let buffer, let offset, _) = owner { (buffer, offset) } else { nil }
    }

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
