import Foundation
import Tensors

/// A byte-pair vocabulary: byte strings with their ranks, and which two neighbours merge into which string.
///
/// The rank of a string is its id. Two tables with open addressing, one from byte strings to ids and one from pairs of ids to the
/// id of what they make together, so that merging compares numbers and never touches bytes.
final class BytePairVocabulary: Sendable {
    /// The byte strings end to end; token `id` is `bytes[starts[id] ..< starts[id + 1]]`.
    private let bytes: [UInt8]
    private let starts: [Int32]
    private let strings: [Int32]
    private let pairs: PairTable
    private let single: [Int32]

    var count: Int { starts.count - 1 }

    /// - Throws: `PowerAttentionError` where a byte is missing.
    init(_ tokens: [[UInt8]], file: String) throws(PowerAttentionError) {
        var (bytes, starts): ([UInt8], [Int32]) = ([], [0])
        for token in tokens {
            bytes += token
            starts.append(Int32(bytes.count))
        }
        var capacity = 1024
        while capacity < 3 * tokens.count { capacity *= 2 }
        var strings = [Int32](repeating: -1, count: capacity)
        for (id, token) in tokens.enumerated() {
            var slot = token.withUnsafeBufferPointer { Self.hash($0) } & (capacity - 1)
            while strings[slot] >= 0 { slot = (slot + 1) & (capacity - 1) }
            strings[slot] = Int32(id)
        }
        self.bytes = bytes
        self.starts = starts
        self.strings = strings
        var single: [Int32] = []
        for byte in UInt8.min...UInt8.max {
            guard
                let id = withUnsafePointer(
                    to: byte,
                    { Self.find(UnsafeBufferPointer(start: $0, count: 1), bytes: bytes, starts: starts, strings: strings) })
            else {
                throw PowerAttentionError(
                    .damagedFile, argument: file, given: "no token for byte \(byte)", expected: "all 256 bytes")
            }
            single.append(id)
        }
        self.single = single
        var pairs = PairTable(capacity: 2 * tokens.count)
        for (id, token) in tokens.enumerated() where token.count > 1 {
            token.withUnsafeBufferPointer { whole in
                for cut in 1..<whole.count {
                    let (left, right) = (whole[..<cut], whole[cut...])
                    guard
                        let a = Self.find(.init(rebasing: left), bytes: bytes, starts: starts, strings: strings),
                        let b = Self.find(.init(rebasing: right), bytes: bytes, starts: starts, strings: strings)
                    else { continue }
                    pairs.insert(Int32(id), for: a, b)
                }
            }
        }
        self.pairs = pairs
    }

    /// Eight bytes at a time: the product with an odd number spreads them over the upper half, the shift brings that down.
    private static func hash(_ string: UnsafeBufferPointer<UInt8>) -> Int {
        let raw = UnsafeRawBufferPointer(string)
        var hash = UInt64(truncatingIfNeeded: raw.count)
        var index = 0
        while index < raw.count {
            var word: UInt64 = 0
            if index + 8 <= raw.count {
                word = raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            } else {
                for byte in raw[index...] { word = word << 8 | UInt64(byte) }
            }
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 32
            index += 8
        }
        return Int(truncatingIfNeeded: hash & 0x7FFF_FFFF)
    }

    private static func find(
        _ string: UnsafeBufferPointer<UInt8>, bytes: [UInt8], starts: [Int32], strings: [Int32]
    ) -> Int32? {
        guard let wanted = string.baseAddress else { return nil }
        let mask = strings.count - 1
        var slot = hash(string) & mask
        while strings[slot] >= 0 {
            let id = Int(strings[slot])
            let (start, end) = (Int(starts[id]), Int(starts[id + 1]))
            if end - start == string.count,
                bytes.withUnsafeBytes({ $0.baseAddress.map { memcmp($0 + start, wanted, string.count) } }) == 0
            {
                return Int32(id)
            }
            slot = (slot + 1) & mask
        }
        return nil
    }

    /// The bytes of a token, or `nil` outside of the vocabulary.
    func string(_ id: Int32) -> ArraySlice<UInt8>? {
        guard id >= 0, Int(id) < count else { return nil }
        return bytes[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
    }

    /// Appends the ids of one piece: the pair of neighbours of the lowest rank merges first, the leftmost of equals.
    func encode(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
        if piece.count == 1 {
            ids.append(single[Int(piece[0])])
        } else if let id = Self.find(piece, bytes: bytes, starts: starts, strings: strings) {
            ids.append(id)
        } else if piece.count <= 64 {
            mergeByScanning(piece, into: &ids)
        } else {
            mergeByHeap(piece, into: &ids)
        }
    }

    /// Finds every merge by looking at all neighbours: quadratic, and the fastest for words.
    private func mergeByScanning(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2 * piece.count) { memory in
            var count = piece.count
            let (parts, ranks) = (memory[..<count], memory[count...])
            guard let part = UnsafeMutableBufferPointer(rebasing: parts).baseAddress,
                let rank = UnsafeMutableBufferPointer(rebasing: ranks).baseAddress
            else { return }
            func merged(_ index: Int) -> Int32 {
                index + 1 < count ? pairs.find(part[index], part[index + 1]) : PairTable.none
            }
            for index in 0..<count { part[index] = single[Int(piece[index])] }
            for index in 0..<count { rank[index] = merged(index) }
            while true {
                var best = 0
                for index in 1..<count where rank[index] < rank[best] { best = index }
                guard rank[best] != PairTable.none else { break }
                part[best] = rank[best]
                for index in best + 1..<count - 1 {
                    part[index] = part[index + 1]
                    rank[index] = rank[index + 1]
                }
                count -= 1
                rank[best] = merged(best)
                if best > 0 { rank[best - 1] = merged(best - 1) }
            }
            ids.append(contentsOf: UnsafeBufferPointer(start: part, count: count))
        }
    }

    /// Keeps the possible merges in a heap over a linked list: O(n log n), for runs of thousands of characters.
    private func mergeByHeap(_ piece: UnsafeBufferPointer<UInt8>, into ids: inout [Int32]) {
        var parts = piece.map { single[Int($0)] }
        var next = (1...parts.count).map { $0 }
        var previous = (-1..<parts.count - 1).map { $0 }
        var heap = Heap()
        func push(_ left: Int) {
            guard left >= 0, next[left] < parts.count else { return }
            let right = next[left]
            let id = pairs.find(parts[left], parts[right])
            guard id != PairTable.none else { return }
            heap.push(Merge(rank: id, left: left, leftID: parts[left], rightID: parts[right]))
        }
        for index in parts.indices { push(index) }
        while let merge = heap.pop() {
            let right = next[merge.left]
            guard parts[merge.left] == merge.leftID, right < parts.count, parts[right] == merge.rightID else { continue }
            parts[merge.left] = merge.rank
            parts[right] = -1
            next[merge.left] = next[right]
            if next[right] < parts.count { previous[next[right]] = merge.left }
            push(previous[merge.left])
            push(merge.left)
        }
        ids.append(contentsOf: parts.lazy.filter { $0 >= 0 })
    }

    private struct Merge: Comparable {
        var rank: Int32
        var left: Int
        var leftID, rightID: Int32

        static func < (a: Merge, b: Merge) -> Bool { (a.rank, a.left) < (b.rank, b.left) }
    }

    /// A binary heap of merges, the least on top.
    private struct Heap {
        private var elements: [Merge] = []

        mutating func push(_ element: Merge) {
            elements.append(element)
            var index = elements.count - 1
            while index > 0, elements[index] < elements[(index - 1) / 2] {
                elements.swapAt(index, (index - 1) / 2)
                index = (index - 1) / 2
            }
        }

        mutating func pop() -> Merge? {
            guard let top = elements.first, let last = elements.popLast() else { return nil }
            guard !elements.isEmpty else { return top }
            elements[0] = last
            var index = 0
            while true {
                var least = index
                for child in [2 * index + 1, 2 * index + 2] where child < elements.count && elements[child] < elements[least] {
                    least = child
                }
                guard least != index else { return top }
                elements.swapAt(index, least)
                index = least
            }
        }
    }
}
