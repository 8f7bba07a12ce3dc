import Synchronization
import Tensors

/// A kernel on a card, ready to be launched.
final class LoadedKernel: Sendable {
    let function: Driver.Handle
    /// What the loaded code takes: for PTX, known only now.
    let registers, localBytes, sharedBytes, threadLimit: Int
    private let module: Module
    private let session: DriverSession
    /// The dynamic shared memory that a launch may ask for without the driver being told.
    private let permittedSharedBytes: Mutex<Int>

    init(_ session: DriverSession, _ kernel: CompiledKernel) throws(PowerAttentionError) {
        let module = try Module(session, kernel)
        let function = try module.function(kernel.source.function)
        func attribute(_ number: CInt) throws(PowerAttentionError) -> Int {
            var value: CInt = 0
            try session.driver.check(
                session.driver.funcGetAttribute(&value, number, function), "cuFuncGetAttribute", kernel.source.description)
            return Int(value)
        }
        threadLimit = try attribute(0)
        sharedBytes = try attribute(1)
        localBytes = try attribute(3)
        registers = try attribute(4)
        permittedSharedBytes = Mutex(48 * 1024 - sharedBytes)
        self.function = function
        self.module = module
        self.session = session
    }

    /// Checks a launch against the limits of the kernel and of the card, and asks for more shared memory where it needs more
    /// than every kernel may have.
    ///
    /// - Throws: `invalidArgument` for a launch that cannot run.
    func admit(_ launch: KernelLaunch, on card: DeviceProperties) throws(PowerAttentionError) {
        func refuse(_ argument: String, _ given: Int, _ expected: String) throws(PowerAttentionError) {
            throw PowerAttentionError(
                argument: "\(argument) of \(launch.kernel)", given: "\(given)", expected: expected)
        }
        let grid = launch.grid
        if !(1...Int(CInt.max)).contains(grid.x) { try refuse("grid.x", grid.x, "1 to \(CInt.max)") }
        for (name, extent) in [("grid.y", grid.y), ("grid.z", grid.z)] where !(1...65_535).contains(extent) {
            try refuse(name, extent, "1 to 65535")
        }
        if !(1...threadLimit).contains(launch.threads) { try refuse("threads", launch.threads, "1 to \(threadLimit)") }
        let limit = card.sharedMemoryPerBlock - sharedBytes
        if !(0...max(0, limit)).contains(launch.sharedBytes) { try refuse("sharedBytes", launch.sharedBytes, "0 to \(limit)") }
        try permittedSharedBytes.withLock { permitted throws(PowerAttentionError) in
            guard launch.sharedBytes > permitted else { return }
            // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            try session.driver.check(
                session.driver.funcSetAttribute(function, 8, CInt(launch.sharedBytes)), "cuFuncSetAttribute",
                "\(launch.kernel) to \(launch.sharedBytes) bytes of shared memory")
            permitted = launch.sharedBytes
        }
    }
}
