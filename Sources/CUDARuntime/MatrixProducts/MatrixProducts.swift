import Synchronization
package import Tensors

/// Matrix products on one card by cuBLASLt, sums in float32.
///
/// The algorithm is chosen once a shape, by what the library says of it and not by how long it took: the same card and library give the same
/// bits every time.
package final class MatrixProducts: Sendable {
    private let context: CUDAContext
    private let library: CUBLASLt
    private let handle: CUBLASLt.Handle
    /// Work of one stream is done one after another: one workspace serves all of it.
    private let workspace: DeviceMemory
    private let plans = Mutex<[Key: ProductPlan?]>([:])

    private struct Key: Hashable {
        let shape: ProductShape
        let alignments: ProductAlignments
    }

    /// Four times what NVIDIA advises for Hopper: the gradient of a weight of 3,072 × 768 is 72 tiles of products, whose sums over all tokens
    /// are cut in parts that fill a card's multiprocessors, and a part takes 9 MB.
    package static let workspaceBytes = 128 << 20

    package init(_ context: CUDAContext, library: CUBLASLt) throws(PowerAttentionError) {
        self.context = context
        self.library = library
        workspace = try context.allocate(Self.workspaceBytes)
        handle = try context.inOrder { () throws(PowerAttentionError) in
            var handle: CUBLASLt.Handle = 0
            try library.check(library.create(&handle), "Create")
            return handle
        }
    }

    deinit { context.session.release { _ in library.destroy(handle) } }

    /// Queues `C = A·B`, or `C = A·B + D`.
    ///
    /// - Parameter addend: D, laid out as C is: C itself, or another matrix.
    /// - Throws: `unsupported` where cuBLASLt has no algorithm for it.
    package func multiply(
        _ shape: ProductShape, _ a: DevicePointer, _ b: DevicePointer, into c: DevicePointer, adding addend: DevicePointer?
    ) throws(PowerAttentionError) {
        guard try attempt(shape, a, b, into: c, adding: addend) else {
            throw PowerAttentionError(
                .unsupported, argument: "matrix product", given: "\(shape)", expected: "one that cuBLASLt has an algorithm for")
        }
    }

    /// The same, or nothing where cuBLASLt has no algorithm.
    ///
    /// - Parameter auxiliary: the epilogue's matrix.
    /// - Returns: whether it was queued.
    package func attempt(
        _ shape: ProductShape, _ a: DevicePointer, _ b: DevicePointer, into c: DevicePointer,
        adding addend: DevicePointer? = nil, auxiliary: DevicePointer? = nil
    ) throws(PowerAttentionError) -> Bool {
        try context.inOrder { () throws(PowerAttentionError) in
            let added = addend ?? c
            let key = Key(shape: shape, alignments: ProductAlignments(a, b, c, added: added, auxiliary))
            guard let plan = try plan(key) else { return false }
            for pointer in [a, b, c, added, workspace.pointer] { context.use(pointer) }
            if let auxiliary {
                context.use(auxiliary)
                try plan.setAuxiliary(auxiliary)
            }
            var (alpha, beta) = (1 as Float, (addend == nil ? 0 : 1) as Float)
            let status = plan.choice.withUnsafeBytes { choice in
                library.matmul(
                    handle, plan.product, &alpha, b.address, plan.first, a.address, plan.second, &beta, added.address,
                    plan.result, c.address, plan.result, choice.baseAddress!, workspace.pointer.address,
                    Self.workspaceBytes, context.stream.handle)
            }
            try library.check(status, "Matmul", "\(shape)")
            return true
        }
    }

    private func plan(_ key: Key) throws(PowerAttentionError) -> ProductPlan? {
        if let known = plans.withLock({ $0[key] }) { return known }
        let plan = try ProductPlan(
            key.shape, alignments: key.alignments, workspace: Self.workspaceBytes,
            multiprocessors: context.properties.multiprocessorCount, library, handle)
        plans.withLock { $0[key] = .some(plan) }
        return plan
    }
}
