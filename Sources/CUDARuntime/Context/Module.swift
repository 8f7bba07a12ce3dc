import Tensors

/// Compiled kernels in the memory of a card, and how they were launched so far.
struct Module: ~Copyable {
    private let handle: Driver.Handle
    private let driver: Driver

    init(_ cubin: [UInt8], _ name: String, _ driver: Driver) throws(PowerAttentionError) {
        var handle: Driver.Handle = 0
        let status = cubin.withUnsafeBytes { image in
            image.baseAddress.map { driver.loadModule(&handle, $0) } ?? 1
        }
        try driver.check(status, "cuModuleLoadData(\(name))")
        self.handle = handle
        self.driver = driver
    }

    func function(_ name: String) throws(PowerAttentionError) -> Driver.Handle {
        var function: Driver.Handle = 0
        try driver.check(driver.function(&function, handle, name), "cuModuleGetFunction(\(name))")
        return function
    }

    deinit { _ = driver.unloadModule(handle) }
}
