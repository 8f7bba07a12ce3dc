import Synchronization
import Tensors

/// A kernel that is ready to be launched. It stays loaded as long as the context lives.
final class KernelFunction: Sendable {
    let handle: Driver.Handle
    private let module: Module
    private let driver: Driver
    /// The dynamic shared memory that a launch may ask for; more than 48 KB is on request.
    private let sharedBytes = Mutex(48 << 10)

    init(_ kernel: CompiledKernel, function: String, _ driver: Driver) throws(PowerAttentionError) {
        module = try Module(kernel.cubin, function, driver)
        handle = try module.function(function)
        self.driver = driver
    }

    /// Makes launches with so much shared memory possible.
    func allow(sharedBytes bytes: Int) throws(PowerAttentionError) {
        let status = sharedBytes.withLock { allowed -> Driver.Status in
            guard bytes > allowed else { return 0 }
            allowed = bytes
            return driver.setFunctionAttribute(handle, DriverConstant.maximumSharedBytes, Int32(bytes))
        }
        try driver.check(status, "cuFuncSetAttribute(\(bytes) bytes of shared memory)")
    }
}
