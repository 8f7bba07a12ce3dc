import Synchronization
import Tensors

/// Memory of one card, kept and given out again in the order of its one stream.
///
/// A block that its owner lets go is given out at once, although the card may still be at work on it: the new owner's work is
/// queued behind. A graph holds the blocks that it uses, as its work may be queued again at any time; a block that is let go
/// while a graph is captured is given out again within that capture only.
final class DeviceAllocator: Sendable {
    private let session: DriverSession
    private let state = Mutex(State())

    private struct State {
        /// All blocks by their first address, and those addresses in ascending order.
        var blocks: [UInt64: Block] = [:]
        var addresses: [UInt64] = []
        var idle = IdleBlocks()
        var inUse = 0
        var total = 0
        var peak = 0
        var capture: Capture?
    }

    private struct Block {
        let segment: Segment
        let size: Int
        /// The owner, and the graphs that use it.
        var holders = 1
    }

    private struct Capture {
        /// Blocks that the graph will hold, and those of them that were given out during the capture. Only these may be given out
        /// again in it: what others hold when the graph begins is there for every replay.
        var held: Set<UInt64> = []
        var given: Set<UInt64> = []
        var idle = IdleBlocks()
    }

    /// A dictionary cannot hold what cannot be copied.
    private final class Segment: Sendable {
        let allocation: DeviceAllocation
        init(_ allocation: consuming DeviceAllocation) { self.allocation = allocation }
    }

    init(_ session: DriverSession) { self.session = session }

    /// Bytes held for owners and graphs, held for nobody, and the most that were ever held for owners.
    var usage: (inUse: Int, idle: Int, peak: Int) {
        state.withLock { ($0.inUse, $0.total - $0.inUse, $0.peak) }
    }

    /// A block of at least `byteCount` bytes.
    ///
    /// - Throws: `outOfMemory` where the card has no room, idle blocks or not.
    func allocate(_ byteCount: Int) throws(PowerAttentionError) -> DeviceMemory {
        let size = SizeClass.rounded(byteCount)
        let address = try state.withLock { state throws(PowerAttentionError) in
            if let address = state.capture?.idle.take(size) {
                state.blocks[address]?.holders += 1
                return address
            }
            if let address = state.idle.take(size) {
                take(address, &state)
                return address
            }
            let segment = Segment(try DeviceAllocation(session, byteCount: size))
            insert(segment, size: size, &state)
            return segment.allocation.address
        }
        return DeviceMemory(self, address: address, byteCount: byteCount)
    }

    private func insert(_ segment: Segment, size: Int, _ state: inout State) {
        let address = segment.allocation.address
        state.blocks[address] = Block(segment: segment, size: size, holders: 0)
        state.addresses.insert(address, at: Self.count(notAbove: address, state.addresses))
        state.total += size
        take(address, &state)
    }

    private func take(_ address: UInt64, _ state: inout State) {
        state.blocks[address]?.holders = 1
        state.inUse += state.blocks[address]?.size ?? 0
        state.peak = max(state.peak, state.inUse)
        guard state.capture != nil else { return }
        hold(address, &state)
        state.capture?.given.insert(address)
    }

    private func hold(_ address: UInt64, _ state: inout State) {
        if state.capture?.held.insert(address).inserted == true { state.blocks[address]?.holders += 1 }
    }

    /// Lets a block go, once for its owner and once for every graph.
    func release(_ address: UInt64) {
        state.withLock { state in
            guard let block = state.blocks[address] else { return }
            state.blocks[address]?.holders -= 1
            if block.holders == 1 {
                state.inUse -= block.size
                state.idle.insert(address, size: block.size)
            } else if block.holders == 2, state.capture?.given.contains(address) == true {
                state.capture?.idle.insert(address, size: block.size)
            }
        }
    }

    /// Gives idle blocks back to the driver. The card has to be done with them.
    func releaseIdle() {
        let segments = state.withLock { state in
            let segments = state.idle.takeAll().compactMap { state.blocks.removeValue(forKey: $0) }
            state.total -= segments.reduce(0) { $0 + $1.size }
            state.addresses = state.addresses.filter { state.blocks[$0] != nil }
            return segments
        }
        _ = consume segments
    }
}

extension DeviceAllocator {
    /// From here on, blocks that are given out or used belong to a graph as well.
    func beginCapture() { state.withLock { $0.capture = Capture() } }

    /// Holds the block that `pointer` points into for the graph that is being captured.
    func use(_ pointer: DevicePointer) {
        state.withLock { state in
            let count = Self.count(notAbove: pointer.address, state.addresses)
            guard state.capture != nil, count > 0 else { return }
            let address = state.addresses[count - 1]
            guard let block = state.blocks[address], pointer.address - address < UInt64(block.size) else { return }
            hold(address, &state)
        }
    }

    /// The blocks that the captured graph holds, each to be released once.
    func endCapture() -> [UInt64] {
        state.withLock { state in
            defer { state.capture = nil }
            return state.capture.map { $0.held.sorted() } ?? []
        }
    }

    private static func count(notAbove address: UInt64, _ addresses: [UInt64]) -> Int {
        var low = 0
        var high = addresses.count
        while low < high {
            let middle = (low + high) / 2
            if addresses[middle] <= address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
