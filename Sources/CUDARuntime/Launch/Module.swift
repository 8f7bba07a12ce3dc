import Tensors

/// Code that is loaded on a card.
struct Module: ~Copyable, Sendable {
    private let handle: Driver.Handle
    private let session: DriverSession

    init(_ session: DriverSession, _ kernel: CompiledKernel) throws(PowerAttentionError) {
        var handle: Driver.Handle = 0
        let result = kernel.image.withUnsafeBytes { session.driver.moduleLoadData(&handle, $0.baseAddress) }
        try session.check(
            result, "cuModuleLoadData", "\(kernel.source) for \(kernel.architecture)",
            expected: "a driver that is as new as the compiler")
        self.handle = handle
        self.session = session
    }

    deinit { session.release { $0.moduleUnload(handle) } }

    func function(_ name: String) throws(PowerAttentionError) -> Driver.Handle {
        var function: Driver.Handle = 0
        try session.check(
            session.driver.moduleGetFunction(&function, handle, name), "cuModuleGetFunction", name,
            expected: "an extern \"C\" function of that name")
        return function
    }
}
