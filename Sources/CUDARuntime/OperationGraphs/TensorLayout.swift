/// Extents, and elements from one index to the next, in the order of the axes.
package struct TensorLayout: Sendable, Hashable {
    package var extents, strides: [Int]

    package init(_ extents: [Int], strides: [Int]) {
        self.extents = extents
        self.strides = strides
    }

    /// Elements one after another, the last axis innermost.
    package init(packed extents: [Int]) {
        var strides = [Int](repeating: 1, count: extents.count)
        for axis in extents.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * extents[axis + 1] }
        self.init(extents, strides: strides)
    }

    package var count: Int { extents.reduce(1, *) }

    /// The last two axes exchanged; no element moves.
    package var transposed: TensorLayout {
        var result = self
        let last = extents.count - 1
        result.extents.swapAt(last - 1, last)
        result.strides.swapAt(last - 1, last)
        return result
    }
}
