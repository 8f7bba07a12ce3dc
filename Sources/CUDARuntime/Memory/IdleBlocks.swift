/// Blocks that nobody holds, to be found by size.
struct IdleBlocks: Sendable {
    /// Sizes in ascending order, with the addresses of their blocks; no entry is empty.
    private var entries: [(size: Int, addresses: [UInt64])] = []

    private func index(of size: Int) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].size < size { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func insert(_ address: UInt64, size: Int) {
        let index = index(of: size)
        if index < entries.count, entries[index].size == size {
            entries[index].addresses.append(address)
        } else {
            entries.insert((size, [address]), at: index)
        }
    }

    /// Takes the smallest block of at least `size` bytes that wastes no more than ``SizeClass/largestFit(_:)`` allows: of
    /// several, the one that was used last.
    mutating func take(_ size: Int) -> UInt64? {
        let index = index(of: size)
        guard index < entries.count, entries[index].size <= SizeClass.largestFit(size) else { return nil }
        let address = entries[index].addresses.removeLast()
        if entries[index].addresses.isEmpty { entries.remove(at: index) }
        return address
    }

    mutating func takeAll() -> [UInt64] {
        defer { entries = [] }
        return entries.flatMap(\.addresses)
    }
}
