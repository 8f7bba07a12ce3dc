import Synchronization
import Tensors

/// A card's memory in blocks that are kept when they are free: a step asks for the same sizes again and again, and the driver's own
/// allocation waits for the card.
///
/// One stream uses the blocks, so that a block may be handed out again while its last use is still under way.
package final class CachingAllocator: Sendable {
    struct Block: Sendable, Hashable {
        let address: UInt64
        let capacity: Int
    }

    private struct State {
        /// Free blocks by capacity.
        var free: [Int: [Block]] = [:]
        var inUse = 0
        var idle = 0
        var peak = 0
        /// The blocks that a capture under way has handed out.
        var captured: Set<Block>?
        /// How many graphs replay work on a block; such a block is nobody else's as long as they live.
        var reserved: [Block: Int] = [:]
        var parked: Set<Block> = []
    }

    private let driver: Driver
    private let state = Mutex(State())

    init(_ driver: Driver) { self.driver = driver }

    /// Sizes step by an eighth of a power of two: a block wastes at most an eighth, and serves sizes near its own.
    static func capacity(for byteCount: Int) -> Int {
        let minimum = max(byteCount, 512)
        let step = max(512, 1 << max(0, (Int.bitWidth - 1 - minimum.leadingZeroBitCount) - 3))
        return (minimum + step - 1) / step * step
    }

    /// - Throws: `PowerAttentionError` with code `outOfMemory` where the card has no room even without what is kept for reuse.
    func take(_ byteCount: Int) throws(PowerAttentionError) -> Block {
        let capacity = Self.capacity(for: byteCount)
        if let block = reuse(capacity) { return block }
        var address: UInt64 = 0
        var status = driver.allocate(&address, capacity)
        if status == DriverConstant.outOfMemory {
            releaseIdle()
            status = driver.allocate(&address, capacity)
        }
        guard status != DriverConstant.outOfMemory else {
            throw PowerAttentionError(
                .outOfMemory, argument: "GPU memory", given: "\(byteCount) bytes asked for with \(report)",
                expected: "a smaller problem, a larger card, or a card that nobody else uses")
        }
        try driver.check(status, "cuMemAlloc(\(capacity))")
        let block = Block(address: address, capacity: capacity)
        state.withLock { Self.hand(out: block, &$0) }
        return block
    }

    private func reuse(_ capacity: Int) -> Block? {
        state.withLock { state in
            guard let block = state.free[capacity]?.popLast() else { return nil }
            state.idle -= capacity
            Self.hand(out: block, &state)
            return block
        }
    }

    private static func hand(out block: Block, _ state: inout State) {
        state.inUse += block.capacity
        state.peak = max(state.peak, state.inUse)
        state.captured?.insert(block)
    }

    func give(_ block: Block) {
        state.withLock { state in
            state.inUse -= block.capacity
            state.idle += block.capacity
            if state.captured == nil, state.reserved[block] != nil {
                state.parked.insert(block)
            } else {
                state.free[block.capacity, default: []].append(block)
            }
        }
    }

    /// Gives free blocks back to the card.
    func releaseIdle() {
        let blocks = state.withLock { state -> [Block] in
            // Work on a block of a capture is recorded with its address.
            let captured = state.captured ?? []
            let blocks = state.free.values.flatMap { $0 }.filter { !captured.contains($0) }
            state.free = captured.isEmpty ? [:] : state.free.mapValues { $0.filter { captured.contains($0) } }
            state.idle -= blocks.reduce(0) { $0 + $1.capacity }
            return blocks
        }
        for block in blocks { _ = driver.free(block.address) }
    }

    var report: MemoryReport {
        var (free, total) = (0, 0)
        _ = driver.memoryInfo(&free, &total)
        return state.withLock { state in
            MemoryReport(inUse: state.inUse, idle: state.idle, peak: state.peak, free: free, total: total)
        }
    }

    // MARK: Graphs

    func beginCapture() { state.withLock { $0.captured = [] } }

    /// The blocks that the captured work uses, kept for it until ``release(_:)``.
    func endCapture() -> Set<Block> {
        state.withLock { state in
            let blocks = state.captured ?? []
            state.captured = nil
            for block in blocks { state.reserved[block, default: 0] += 1 }
            for capacity in Set(blocks.map(\.capacity)) {
                let free = state.free[capacity] ?? []
                state.parked.formUnion(free.filter { blocks.contains($0) })
                state.free[capacity] = free.filter { !blocks.contains($0) }
            }
            return blocks
        }
    }

    func release(_ blocks: Set<Block>) {
        state.withLock { state in
            for block in blocks {
                let count = (state.reserved[block] ?? 1) - 1
                state.reserved[block] = count == 0 ? nil : count
                if count == 0, state.parked.remove(block) != nil {
                    state.free[block.capacity, default: []].append(block)
                }
            }
        }
    }
}
