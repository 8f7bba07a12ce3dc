package import Tensors

/// A product `C = A·B` of matrices in rows: `A [m, k]`, `B [k, n]`, `C [m, n]`, a transposed operand stored the other way round.
package struct ProductShape: Sendable, Hashable, CustomStringConvertible {
    package var m, n, k: Int
    package var transposeA, transposeB: Bool
    /// Elements from one stored row to the next.
    package var strideA, strideB, strideC: Int
    /// The type of A and B, and that of C.
    package var input, output: DataType
    package var epilogue: Epilogue

    /// What is done to the sums before they are written. Each reads or writes a second matrix, laid out as C is.
    package enum Epilogue: Sendable, Hashable {
        case none
        /// `C = gelu(A·B)`, in the tanh form; the second matrix gets A·B.
        case gelu
        /// `C = (A·B) · gelu′(H)`, H the second matrix.
        case geluGradient
    }

    package init(
        m: Int, n: Int, k: Int, transposeA: Bool, transposeB: Bool, strideA: Int, strideB: Int, strideC: Int, input: DataType,
        output: DataType, epilogue: Epilogue = .none
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
        self.epilogue = epilogue
    }

    package var description: String {
        "[\(m), \(k)]\(transposeA ? "ᵀ" : "") × [\(k), \(n)]\(transposeB ? "ᵀ" : "") in \(input), result in \(output)"
            + (epilogue == .none ? "" : ", \(epilogue)")
    }
}
