import Synchronization
package import Tensors

/// The functions of cuBLASLt that this package calls, as a table. Names are the library's without `cublasLt`; matrices are in columns
/// there. Results are 0 or a number of `cublasStatus_t`.
package struct CUBLASLt: Sendable {
    package typealias Status = CInt
    package typealias Handle = UInt
    package typealias Out<Value> = UnsafeMutablePointer<Value>
    package typealias SetAttribute = @convention(c) @Sendable (Handle, CInt, UnsafeRawPointer, Int) -> Status
    package typealias OfHandle = @convention(c) @Sendable (Handle) -> Status

    package let create: @convention(c) @Sendable (Out<Handle>) -> Status
    package let destroy: OfHandle
    package let matmulDescCreate: @convention(c) @Sendable (Out<Handle>, CInt, CInt) -> Status
    package let matmulDescSetAttribute: SetAttribute
    package let matmulDescDestroy: OfHandle
    package let matrixLayoutCreate: @convention(c) @Sendable (Out<Handle>, CInt, UInt64, UInt64, Int64) -> Status
    package let matrixLayoutDestroy: OfHandle
    package let matmulPreferenceCreate: @convention(c) @Sendable (Out<Handle>) -> Status
    package let matmulPreferenceSetAttribute: SetAttribute
    package let matmulPreferenceDestroy: OfHandle
    /// Handle, product, A, B, C, D, preference, room for results, results, their number.
    package let matmulAlgoGetHeuristic:
        @convention(c) @Sendable (
            Handle, Handle, Handle, Handle, Handle, Handle, Handle, CInt, UnsafeMutableRawPointer, Out<CInt>
        ) -> Status
    /// Handle, product, α, A and its layout, B, β, C, D, the algorithm, the workspace and its size, the stream.
    package let matmul:
        @convention(c) @Sendable (
            Handle, Handle, UnsafeRawPointer, UInt64, Handle, UInt64, Handle, UnsafeRawPointer, UInt64, Handle, UInt64, Handle,
            UnsafeRawPointer, UInt64, Int, Driver.Handle
        ) -> Status

    /// The library of this machine, opened on the first call.
    ///
    /// - Throws: `unsupported` where there is none; it is looked for again on the next call.
    package static func system() throws(PowerAttentionError) -> CUBLASLt {
        try cached.withLock { cached throws(PowerAttentionError) in
            if let cached { return cached }
            let library = try LibrarySearch().open(.matrixProducts(preferring: Driver.installedMajorVersion))
            let table = try CUBLASLt(library)
            cached = table
            return table
        }
    }

    private static let cached = Mutex<CUBLASLt?>(nil)

    private init(_ library: SharedLibrary) throws(PowerAttentionError) {
        func function<Function>(_ name: String, _ type: Function.Type = Function.self) throws(PowerAttentionError) -> Function {
            try library.function("cublasLt" + name, as: type)
        }
        create = try function("Create")
        destroy = try function("Destroy")
        matmulDescCreate = try function("MatmulDescCreate")
        matmulDescSetAttribute = try function("MatmulDescSetAttribute")
        matmulDescDestroy = try function("MatmulDescDestroy")
        matrixLayoutCreate = try function("MatrixLayoutCreate")
        matrixLayoutDestroy = try function("MatrixLayoutDestroy")
        matmulPreferenceCreate = try function("MatmulPreferenceCreate")
        matmulPreferenceSetAttribute = try function("MatmulPreferenceSetAttribute")
        matmulPreferenceDestroy = try function("MatmulPreferenceDestroy")
        matmulAlgoGetHeuristic = try function("MatmulAlgoGetHeuristic")
        matmul = try function("Matmul")
    }

    func check(
        _ status: Status, _ call: String, _ subject: @autoclosure () -> String = ""
    ) throws(PowerAttentionError) {
        guard status != 0 else { return }
        let subject = subject()
        throw PowerAttentionError(
            .device, argument: "cublasLt\(call)" + (subject.isEmpty ? "" : " of \(subject)"),
            given: Self.names[status] ?? "status \(status)", expected: "success")
    }

    /// `cublasStatus_t`.
    private static let names: [Status: String] = [
        1: "CUBLAS_STATUS_NOT_INITIALIZED", 3: "CUBLAS_STATUS_ALLOC_FAILED", 7: "CUBLAS_STATUS_INVALID_VALUE",
        8: "CUBLAS_STATUS_ARCH_MISMATCH", 13: "CUBLAS_STATUS_EXECUTION_FAILED", 14: "CUBLAS_STATUS_INTERNAL_ERROR",
        15: "CUBLAS_STATUS_NOT_SUPPORTED",
    ]
}
