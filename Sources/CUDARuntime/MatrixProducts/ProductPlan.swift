import Tensors

/// How cuBLASLt computes products of one shape: what it is told of them, and the algorithm that it chose.
///
/// It takes matrices in columns. A matrix in rows is its transpose there, and `Cᵀ = Bᵀ·Aᵀ`: B goes first, and is transposed where it was
/// stored transposed.
final class ProductPlan: Sendable {
    private let library: CUBLASLt
    let product, first, second, result: CUBLASLt.Handle
    /// `cublasLtMatmulHeuristicResult_t`, which begins with the algorithm.
    let choice: [UInt64]

    private static let choiceWords = 12

    /// - Parameters:
    ///   - alignments: those of A, B and C in bytes.
    ///   - workspace: bytes that the algorithm may use.
    init(
        _ shape: ProductShape, alignments: ProductAlignments, workspace: Int, _ library: CUBLASLt, _ handle: CUBLASLt.Handle
    ) throws(PowerAttentionError) {
        self.library = library
        // CUBLAS_COMPUTE_32F, with factors in CUDA_R_32F.
        var product: CUBLASLt.Handle = 0
        try library.check(library.matmulDescCreate(&product, 68, 0), "MatmulDescCreate")
        func layout(
            _ stored: (rows: Int, columns: Int), _ stride: Int, _ type: DataType
        ) throws(PowerAttentionError) -> CUBLASLt.Handle {
            var layout: CUBLASLt.Handle = 0
            try library.check(
                library.matrixLayoutCreate(&layout, type.cudaCode, UInt64(stored.columns), UInt64(stored.rows), Int64(stride)),
                "MatrixLayoutCreate", "\(shape)")
            return layout
        }
        self.product = product
        first = try layout(shape.transposeB ? (shape.n, shape.k) : (shape.k, shape.n), shape.strideB, shape.input)
        second = try layout(shape.transposeA ? (shape.k, shape.m) : (shape.m, shape.k), shape.strideA, shape.input)
        result = try layout((shape.m, shape.n), shape.strideC, shape.output)
        // CUBLASLT_MATMUL_DESC_TRANSA and …_TRANSB; CUBLAS_OP_T is 1.
        for (attribute, transposed) in [(CInt(3), shape.transposeB), (4, shape.transposeA)] {
            var operation: CInt = transposed ? 1 : 0
            try library.check(library.matmulDescSetAttribute(product, attribute, &operation, 4), "MatmulDescSetAttribute")
        }
        var preference: CUBLASLt.Handle = 0
        try library.check(library.matmulPreferenceCreate(&preference), "MatmulPreferenceCreate")
        defer { _ = library.matmulPreferenceDestroy(preference) }
        // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, and MIN_ALIGNMENT of A, B, C and D.
        var bytes = UInt64(workspace)
        try library.check(library.matmulPreferenceSetAttribute(preference, 1, &bytes, 8), "MatmulPreferenceSetAttribute")
        for (attribute, alignment) in [(CInt(5), alignments.b), (6, alignments.a), (7, alignments.c), (8, alignments.c)] {
            var value = UInt32(alignment)
            try library.check(
                library.matmulPreferenceSetAttribute(preference, attribute, &value, 4), "MatmulPreferenceSetAttribute")
        }
        var choice = [UInt64](repeating: 0, count: Self.choiceWords)
        var count: CInt = 0
        try library.check(
            library.matmulAlgoGetHeuristic(
                handle, product, first, second, result, result, preference, 1, &choice, &count), "MatmulAlgoGetHeuristic",
            "\(shape)")
        guard count > 0 else {
            throw PowerAttentionError(
                .unsupported, argument: "matrix product", given: "\(shape)", expected: "one that cuBLASLt has an algorithm for")
        }
        self.choice = choice
    }

    deinit {
        for layout in [first, second, result] { _ = library.matrixLayoutDestroy(layout) }
        _ = library.matmulDescDestroy(product)
    }
}

/// What the addresses of A, B and C are multiples of, in bytes; at most 256.
struct ProductAlignments: Sendable, Hashable {
    let a, b, c: Int

    init(_ a: DevicePointer, _ b: DevicePointer, _ c: DevicePointer) {
        func alignment(_ pointer: DevicePointer) -> Int { 1 << min(8, pointer.address.trailingZeroBitCount) }
        self.a = alignment(a)
        self.b = alignment(b)
        self.c = alignment(c)
    }
}

extension DataType {
    /// `cudaDataType_t`.
    fileprivate var cudaCode: CInt {
        switch self {
        case .bfloat16: 14
        case .float16: 2
        case .float64: 1
        default: 0
        }
    }
}
