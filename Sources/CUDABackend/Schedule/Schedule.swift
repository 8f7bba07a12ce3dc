import BackendInterface

/// How the tokens of a problem are cut: sequences into chunks, chunks into tiles, as the tables that the kernels read.
package struct Schedule: Sendable {
    /// Four numbers, as the kernels read them.
    package typealias Row = SIMD4<Int32>

    /// First chunk, number of chunks, first token, number of tokens.
    let sequences: [Row]
    /// First token, number of tokens, sequence, 1 where it is the first of its sequence plus 2 where it is the last.
    package let chunks: [Row]

    package init(_ ranges: [Range<Int>], chunkSize: Int) {
        var sequences: [Row] = []
        var chunks: [Row] = []
        for (index, range) in ranges.enumerated() {
            let first = chunks.count
            for start in stride(from: range.lowerBound, to: range.upperBound, by: chunkSize) {
                let end = min(start + chunkSize, range.upperBound)
                let flags = (start == range.lowerBound ? 1 : 0) + (end == range.upperBound ? 2 : 0)
                chunks.append(Row(Int32(start), Int32(end - start), Int32(index), Int32(flags)))
            }
            sequences.append(
                Row(Int32(first), Int32(chunks.count - first), Int32(range.lowerBound), Int32(range.count)))
        }
        self.sequences = sequences
        self.chunks = chunks
    }

    /// Tiles of at most `size` tokens: first token, number of tokens, chunk, first token of the chunk.
    package func tiles(of size: Int) -> [Row] { chunks.indices.flatMap { tiles(of: size, chunk: $0) } }

    /// The same with the sequence in place of the chunk's first token.
    func measuredTiles(of size: Int) -> [Row] {
        tiles(of: size).map { Row($0.x, $0.y, $0.z, chunks[Int($0.z)].z) }
    }

    /// - Parameter first: the size of the first one, if another.
    private func tiles(of size: Int, chunk index: Int, first: Int? = nil) -> [Row] {
        let chunk = chunks[index], end = chunk.x + chunk.y, second = min(chunk.x + Int32(first ?? size), end)
        let starts = [chunk.x] + stride(from: second, to: end, by: size)
        return zip(starts, starts.dropFirst() + [end]).map { Row($0, $1 - $0, Int32(index), chunk.x) }
    }

    /// Tiles of queries in the order in which they are best started: by chunks, whose states come in this order, and in each the last tile
    /// first, which sees the most keys.
    ///
    /// - Parameter step: the tokens that a tile is shared out by. What a chunk has beyond whole tiles is its first one, in whole steps: there
    ///   it sees the fewest keys, and those who have no share of it wait for the others the least.
    package func queryTiles(of size: Int, step: Int) -> [Row] {
        chunks.indices.flatMap { index in
            let count = Int(chunks[index].y), over = (count + step - 1) / step * step % size
            return tiles(of: size, chunk: index, first: over == 0 ? size : over).reversed()
        }
    }

    /// Tiles of keys in the order in which they are best started: from the last chunk of a sequence on, as the gradients of states come, and
    /// in each the first tile first, which the most queries see.
    package func keyTiles(of size: Int) -> [Row] {
        sequences.flatMap { sequence in
            (sequence.x..<sequence.x + sequence.y).reversed().flatMap { tiles(of: size, chunk: Int($0)) }
        }
    }

    /// The chunks that are summed one by one, as sequences of a single chunk, and for each sequence its first chunk, their number, its first
    /// sum, and their number.
    struct Sums: Sendable {
        var chunks: [Row] = []
        var sequences: [Row] = []
    }

    /// - Parameters:
    ///   - reverse: whether the last chunk is the first to be added.
    ///   - wantsEnd: whether the last one to be added is, though no chunk comes after it.
    func sums(reverse: Bool, wantsEnd: Bool) -> Sums {
        var sums = Sums()
        for sequence in sequences {
            let count = wantsEnd ? sequence.y : max(sequence.y - 1, 0)
            let first = sequence.x + (reverse ? sequence.y - count : 0)
            sums.sequences.append(Row(sequence.x, sequence.y, Int32(sums.chunks.count), count))
            sums.chunks += (first..<first + count).map { Row($0, 1, chunks[Int($0)].x, chunks[Int($0)].y) }
        }
        return sums
    }
}
