package import BackendInterface
package import CUDARuntime
package import Tensors

/// What cuDNN's attention is made for: exponential attention over whole sequences of one length, in bfloat16.
package struct LibraryAttentionShape: Sendable, Hashable, CustomStringConvertible {
    let sequences, length: Int
    let queryHeads, keyHeads: Int
    let keyWidth, valueWidth: Int

    /// Shorter sequences are not worth the second that the library takes to compile a kernel for their length.
    static let shortest = 128

    /// - Returns: `nil` for problems that need a kernel of this package: gates, windows, other types, lengths and widths.
    package init?(_ problem: AttentionProblem, dataType: DataType, isGated: Bool) {
        guard problem.mechanism == .exponential(window: nil), problem.normalization == .sum, dataType == .bfloat16, !isGated,
            let length = problem.sequences.first?.count, length >= Self.shortest,
            problem.sequences.indices.allSatisfy({ problem.sequences[$0] == $0 * length..<($0 + 1) * length }),
            problem.tokenCount == problem.sequences.count * length,
            [problem.keyWidth, problem.valueWidth].allSatisfy({ $0.isMultiple(of: 8) && $0 <= 256 })
        else { return nil }
        sequences = problem.sequences.count
        self.length = length
        queryHeads = problem.queryHeads
        keyHeads = problem.keyHeads
        keyWidth = problem.keyWidth
        valueWidth = problem.valueWidth
    }

    /// Axes are sequences, heads, tokens and columns; in memory a token's heads are one after another.
    private func rows(_ heads: Int, _ width: Int) -> TensorLayout {
        TensorLayout([sequences, heads, length, width], strides: [length * heads * width, width, heads * width, 1])
    }

    package var queries: TensorLayout { rows(queryHeads, keyWidth) }
    package var keys: TensorLayout { rows(keyHeads, keyWidth) }
    package var values: TensorLayout { rows(keyHeads, valueWidth) }
    package var outputs: TensorLayout { rows(queryHeads, valueWidth) }
    /// A number a row.
    package var statistics: TensorLayout { packed(length, 1) }
    /// A weight for every pair of tokens.
    var weights: TensorLayout { packed(length, length) }

    /// Two axes for every query head.
    func packed(_ rows: Int, _ columns: Int) -> TensorLayout {
        TensorLayout(packed: [sequences, queryHeads, rows, columns])
    }

    package var description: String {
        "\(sequences) × \(length) tokens, \(queryHeads) / \(keyHeads) heads, \(keyWidth) / \(valueWidth) columns"
    }
}
