import Tensors

/// How cuBLASLt computes products of one shape: what it is told of them, and the algorithm that it chose.
///
/// It takes matrices in columns. A matrix in rows is its transpose there, and `Cᵀ = Bᵀ·Aᵀ`: B goes first, and is transposed where it was
/// stored transposed.
///
/// Used by one thread at a time: the context's order sees to that.
final class ProductPlan: @unchecked Sendable {
    private let library: CUBLASLt
    let product, first, second, result: CUBLASLt.Handle
    /// `cublasLtMatmulHeuristicResult_t`, which begins with the algorithm.
    private(set) var choice: [UInt64] = []
    private static let (choiceWords, choiceCount) = (12, 8)

    /// - Parameters:
    ///   - alignments: those of A, B, C, what is added and the epilogue's matrix in bytes.
    ///   - workspace: bytes that the algorithm may use.
    ///   - multiprocessors: those of the card.
    /// - Returns: `nil` where the library has no algorithm.
    init?(
        _ shape: ProductShape, alignments: ProductAlignments, workspace: Int, multiprocessors: Int, _ library: CUBLASLt,
        _ handle: CUBLASLt.Handle
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
        if let code = shape.epilogue.code {
            // CUBLASLT_MATMUL_DESC_EPILOGUE, …_EPILOGUE_AUX_LD.
            var (code, stride) = (code, Int64(shape.strideC))
            try library.check(library.matmulDescSetAttribute(product, 7, &code, 4), "MatmulDescSetAttribute")
            try library.check(library.matmulDescSetAttribute(product, 12, &stride, 8), "MatmulDescSetAttribute")
            try setAuxiliary(DevicePointer(address: UInt64(alignments.auxiliary)))
        }
        var preference: CUBLASLt.Handle = 0
        try library.check(library.matmulPreferenceCreate(&preference), "MatmulPreferenceCreate")
        defer { _ = library.matmulPreferenceDestroy(preference) }
        // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, and MIN_ALIGNMENT of A, B, C and D.
        var bytes = UInt64(workspace)
        try library.check(library.matmulPreferenceSetAttribute(preference, 1, &bytes, 8), "MatmulPreferenceSetAttribute")
        for (attribute, alignment) in [(CInt(5), alignments.b), (6, alignments.a), (7, alignments.added), (8, alignments.c)] {
            var value = UInt32(alignment)
            try library.check(
                library.matmulPreferenceSetAttribute(preference, attribute, &value, 4), "MatmulPreferenceSetAttribute")
        }
        var choices = [UInt64](repeating: 0, count: Self.choiceWords * Self.choiceCount)
        var count: CInt = 0
        let status = library.matmulAlgoGetHeuristic(
            handle, product, first, second, result, result, preference, CInt(Self.choiceCount), &choices, &count)
        // CUBLAS_STATUS_NOT_SUPPORTED.
        guard status != 15 else { return nil }
        try library.check(status, "MatmulAlgoGetHeuristic", "\(shape)")
        // The halves of word 9 are `state`, without which zero nothing else counts, and `wavesCount`.
        let waves = (0..<Int(count)).map { n in
            let word = choices[Self.choiceWords * n + 9]
            return UInt32(truncatingIfNeeded: word) == 0 ? Float(bitPattern: UInt32(word >> 32)) : 0
        }
        let results = Float(shape.m) * Float(shape.n) / Float(multiprocessors)
        guard
            let index = ProductChoice.preferred(
                waves, results: results, terms: shape.k, writesHalves: shape.output.byteCount == 2)
        else { return nil }
        choice = Array(choices[Self.choiceWords * index..<Self.choiceWords * (index + 1)])
    }

    /// Where the epilogue's matrix is, for the next call.
    func setAuxiliary(_ pointer: DevicePointer) throws(PowerAttentionError) {
        var address = pointer.address
        // CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER.
        try library.check(library.matmulDescSetAttribute(product, 11, &address, 8), "MatmulDescSetAttribute")
    }

    deinit {
        for layout in [first, second, result] { _ = library.matrixLayoutDestroy(layout) }
        _ = library.matmulDescDestroy(product)
    }
}

/// What the addresses of A, B, C, what is added and the epilogue's matrix are multiples of, in bytes; at most 256.
struct ProductAlignments: Sendable, Hashable {
    let a, b, c, added, auxiliary: Int

    init(
        _ a: DevicePointer, _ b: DevicePointer, _ c: DevicePointer, added: DevicePointer, _ auxiliary: DevicePointer?
    ) {
        func alignment(_ pointer: DevicePointer) -> Int { 1 << min(8, pointer.address.trailingZeroBitCount) }
        self.a = alignment(a)
        self.b = alignment(b)
        self.c = alignment(c)
        self.added = alignment(added)
        self.auxiliary = auxiliary.map(alignment) ?? 256
    }
}

extension ProductShape.Epilogue {
    /// `cublasLtEpilogue_t`: CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_DGELU.
    fileprivate var code: UInt32? {
        switch self {
        case .none: nil
        case .gelu: 160
        case .geluGradient: 192
        }
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
