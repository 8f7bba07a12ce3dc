/// What a recording of calls takes of a card's memory, reckoned: the blocks that it is given, by their sizes alone. As in a capture, a block
/// that is let go is given out again, and stays with the recording.
package struct RecordedMemory: Sendable {
    package struct Block: Sendable, Hashable {
        fileprivate let number: UInt64
        fileprivate let size: Int
    }

    private var idle = IdleBlocks()
    private var sizes: [Int] = []
    private var inUse = 0
    /// Bytes of all blocks, and the most that were in use at a time.
    package private(set) var held = 0
    package private(set) var peak = 0

    package init() {}

    /// The bytes of a block for so many.
    package static func blockBytes(_ byteCount: Int) -> Int { SizeClass.rounded(byteCount) }

    package mutating func take(_ byteCount: Int) -> Block {
        let block = idleBlock(SizeClass.rounded(byteCount))
        inUse += block.size
        peak = max(peak, inUse)
        return block
    }

    private mutating func idleBlock(_ size: Int) -> Block {
        if let known = idle.take(size) { return Block(number: known, size: sizes[Int(known)]) }
        sizes.append(size)
        held += size
        return Block(number: UInt64(sizes.count - 1), size: size)
    }

    package mutating func release(_ block: Block) {
        inUse -= block.size
        idle.insert(block.number, size: block.size)
    }

    package mutating func release(_ blocks: [Block]) {
        for block in blocks { release(block) }
    }
}
