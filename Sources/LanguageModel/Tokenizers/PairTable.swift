/// From pairs of ids to the id of what they make together: open addressing with linear probing, at most half full.
///
/// Merging asks this for every two neighbours; a `Dictionary` would spend most of that time on its hash.
struct PairTable: Sendable {
    private struct Entry {
        var left, right, id: Int32
    }

    /// What ``find(_:_:)`` gives for a pair that makes nothing: greater than every id.
    static let none = Int32.max

    private var entries: [Entry]
    private var count = 0

    init(capacity: Int) { entries = Self.empty(capacity) }

    private static func empty(_ capacity: Int) -> [Entry] {
        var slots = 1024
        while slots < 2 * capacity { slots *= 2 }
        return Array(repeating: Entry(left: -1, right: -1, id: none), count: slots)
    }

    /// Sets what a pair makes; the last one counts.
    mutating func insert(_ id: Int32, for left: Int32, _ right: Int32) {
        if 2 * (count + 1) > entries.count {
            let old = entries
            entries = Self.empty(entries.count)
            count = 0
            for entry in old where entry.id != Self.none { insert(entry.id, for: entry.left, entry.right) }
        }
        let slot = slot(left, right)
        if entries[slot].id == Self.none { count += 1 }
        entries[slot] = Entry(left: left, right: right, id: id)
    }

    /// The id that a pair makes.
    func find(_ left: Int32, _ right: Int32) -> Int32 { entries[slot(left, right)].id }

    /// Where a pair stands, or the free slot where it would.
    private func slot(_ left: Int32, _ right: Int32) -> Int {
        let key = UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
        let mask = entries.count - 1
        var slot = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
        while entries[slot].id != Self.none, entries[slot].left != left || entries[slot].right != right {
            slot = (slot + 1) & mask
        }
        return slot
    }
}
