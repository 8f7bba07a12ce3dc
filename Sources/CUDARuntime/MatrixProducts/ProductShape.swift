package import Tensors

/// A product `C = A·B` of matrices in rows: `A [m, k]`, `B [k, n]`, `C [m, n]`, a transposed operand stored the other way round.
package struct ProductShape: Sendable, Hashable, CustomStringConvertible {
    package var m, n, k: Int
    package var transposeA, transposeB: Bool
    /// Elements from one stored row to the next.
    package var strideA, strideB, strideC: Int
    /// The type of A and B, and that of C.
    package var input, output: DataType

    package init(
        m: Int, n: Int, k: Int, transposeA: Bool, transposeB: Bool, strideA: Int, strideB: Int, strideC: Int, input: DataType,
        output: DataType
    ) {
        self.m = m
        self.n = n
        self.k = k
        self.transposeA = transposeA
        self.transposeB = transposeB
        self.strideA = strideA
        self.strideB = strideB
        self.strideC = strideC
        self.input = input
        self.output = output
    }

    package var description: String {
        "[\(m), \(k)]\(transposeA ? "ᵀ" : "") × [\(k), \(n)]\(transposeB ? "ᵀ" : "") in \(input), result in \(output)"
    }
}
