import Synchronization
package import Tensors

extension CUDAContext {
    /// The oldest cuDNN whose attention is right at lengths that are no multiples of 128: 9.15.1.
    private static let oldestVersion = 91_501

    /// How cuDNN carries out the graph that `make` describes; plans are kept under their names.
    ///
    /// - Throws: `unsupported` without cuDNN, with one that is too old, or where it does not serve the graph; `device` with its words
    ///   where it fails.
    package func plan(
        _ name: String, _ make: (OperationGraph) throws(PowerAttentionError) -> Void
    ) throws(PowerAttentionError) -> OperationPlan {
        try inOrder { () throws(PowerAttentionError) in try cudnnSession().plan(name, make) }
    }

    /// Queues the operations of a plan.
    ///
    /// - Parameters:
    ///   - tensors: those in memory, under their identifiers.
    ///   - numbers: those that are given as they are, under theirs.
    package func execute(
        _ plan: OperationPlan, _ tensors: [Int: DevicePointer], numbers: [Int: Float]
    ) throws(PowerAttentionError) {
        let workspace = try allocate(plan.workspaceBytes)
        try inOrder { () throws(PowerAttentionError) in
            let cudnn = try cudnnSession()
            for pointer in tensors.values { use(pointer) }
            use(workspace.pointer)
            let (memory, values) = (Array(tensors), Array(numbers))
            let pack = try BackendDescriptor(.variantPack, cudnn.library)
            try pack.set(.packIdentifiers, memory.map(\.key) + values.map(\.key))
            try pack.set(.packWorkspace, addresses: [workspace.pointer.address])
            let status = try values.map(\.value).withUnsafeBufferPointer { (values) throws(PowerAttentionError) in
                // The library reads the numbers while it queues.
                let addresses = values.indices.map { UInt64(UInt(bitPattern: values.baseAddress! + $0)) }
                try pack.set(.packPointers, addresses: memory.map(\.value.address) + addresses)
                try pack.finalize()
                return cudnn.library.execute(cudnn.handle, plan.plan.handle, pack.handle)
            }
            try cudnn.library.check(status, "BackendExecute")
        }
    }

    private func cudnnSession() throws(PowerAttentionError) -> CUDNNSession {
        if let known = state.withLock({ $0.cudnn }) { return known }
        // cuDNN compiles with NVRTC, which it finds by its name alone where it is open already.
        _ = try NVRTC.system()
        let made = try CUDNNSession(session, .system(), stream: stream.handle, atLeast: Self.oldestVersion)
        state.withLock { $0.cudnn = made }
        return made
    }
}
