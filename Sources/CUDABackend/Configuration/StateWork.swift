package import BackendInterface

/// How much there is to do when the states between the chunks are made: what decides how it is cut into blocks.
///
/// Either a block walks all chunks of a sequence, in one launch, or blocks sum single chunks, all of them at once, and a scan adds the sums
/// up. The scan moves ten bytes for a number of a state where the walk writes two, so it is for walks that leave multiprocessors idle.
package struct StateWork: Sendable, Hashable {
    /// Features of a state, near enough, and numbers of a row of it.
    let features, stride: Int
    let keyHeads, sequences: Int
    /// Chunks of all sequences, and of the longest.
    let chunks, longest: Int
    /// Tokens of a chunk, and the query heads of a key head, whose rows come one after another in reverse.
    let chunkSize, group: Int

    /// The work of a problem.
    package init(_ problem: AttentionProblem) {
        let chunks = problem.sequences.map { ($0.count + problem.chunkSize - 1) / problem.chunkSize }
        features = problem.degree.map { FeatureBlocks.count(degree: $0, width: problem.keyWidth) } ?? 0
        stride = (problem.valueWidth + 15) / 16 * 16 + 8
        keyHeads = problem.keyHeads
        sequences = problem.sequences.count
        self.chunks = chunks.reduce(0, +)
        longest = chunks.max() ?? 0
        chunkSize = problem.chunkSize
        group = problem.group
    }

    /// What a block can do, and how many work at once.
    struct Block: Sendable, Hashable {
        let features: Int
        /// What else of a state there is to do, in as many features.
        var others = 0
        let slots: Int
        /// The nanoseconds of 64 tokens.
        let tileTime: Double
    }

    /// Nanoseconds, roughly as on an H100: a prefix is written between two chunks; a block starts, waits for its first tokens and leaves its
    /// sums; a launch; a round trip to memory for eight chunks; bytes by the nanosecond.
    private static let (prefixTime, startTime, launchTime, stepTime, bandwidth) = (1000.0, 3000.0, 3000.0, 100.0, 2500.0)

    private func chunkTime(_ block: Block, reverse: Bool) -> Double {
        Double((chunkSize + 63) / 64 * (reverse ? group : 1)) * block.tileTime
    }

    private func blockCount(_ states: Int, _ block: Block) -> Int {
        states * keyHeads * ((features + block.others + block.features - 1) / block.features)
    }

    /// How often all multiprocessors are given blocks, for so many states of every key head.
    private func waves(_ states: Int, _ block: Block) -> Double {
        Double((blockCount(states, block) + block.slots - 1) / block.slots)
    }

    /// The chunks that a sequence has.
    private var meanChunks: Double { Double(chunks) / Double(max(sequences, 1)) }

    /// The time of one launch whose blocks walk the sequences. It is no less than that of the longest sequence.
    func walkTime(_ block: Block, reverse: Bool) -> Double {
        max(waves(sequences, block) * meanChunks, Double(longest)) * (chunkTime(block, reverse: reverse) + Self.prefixTime)
    }

    /// The time in which all multiprocessors together could walk the sequences.
    private func sharedWalkTime(_ block: Block, reverse: Bool) -> Double {
        Double(blockCount(sequences, block)) / Double(block.slots) * meanChunks
            * (chunkTime(block, reverse: reverse) + Self.prefixTime)
    }

    /// The time of a launch that sums single chunks and of one that adds the sums up.
    func splitTime(_ block: Block, reverse: Bool) -> Double {
        let numbers = Double(chunks * keyHeads * features * stride)
        let sums = waves(chunks, block) * (chunkTime(block, reverse: reverse) + Self.startTime)
        let scan = Self.launchTime + Double(longest) * Self.stepTime + 6 * numbers / Self.bandwidth
        return max(sums, 4 * numbers / Self.bandwidth) + scan
    }

    /// The block with which the states, and what reads them, are done first, and whether chunks are summed one by one: where that saves a tenth
    /// of the fastest walk at least, because it takes more memory. What reads states takes the multiprocessors that a walk leaves: about as long
    /// as the best of the walks, and in reverse, where it makes the gradients of keys and values, twice as long.
    ///
    /// - Parameter split: those of the blocks that may sum single chunks, all if not given.
    func fastest(_ blocks: [Block], split: [Block]? = nil, reverse: Bool) -> (block: Block, isSplit: Bool)? {
        func walk(_ block: Block) -> Double { walkTime(block, reverse: reverse) }
        func shared(_ block: Block) -> Double { sharedWalkTime(block, reverse: reverse) }
        func sum(_ block: Block) -> Double { splitTime(block, reverse: reverse) }
        func best(_ blocks: [Block], _ time: (Block) -> Double) -> Block? { blocks.min { time($0) < time($1) } }
        guard let least = blocks.map(shared).min(), let fastestWalk = best(blocks, walk),
            let fastestSum = best(split ?? blocks, sum),
            let fastest = best(blocks, { max(walk($0), shared($0) + (reverse ? 2 : 1) * least) })
        else { return nil }
        let isSplit = longest > 1 && chunks <= Self.chunkLimit && sum(fastestSum) < 0.9 * walk(fastestWalk)
        return (isSplit ? fastestSum : fastest, isSplit)
    }

    /// Chunks are the third dimension of a grid.
    private static let chunkLimit = 65_535
}
