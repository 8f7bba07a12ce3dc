import Synchronization
import Tensors

/// A kernel on a card, ready to be launched.
final class LoadedKernel: Sendable {
    let function: Driver.Handle
    /// What the loaded code takes: for PTX, known only now.
    let registers, localBytes, sharedBytes, threadLimit: Int
    /// The sizes of the parameters in bytes, nil where the driver cannot tell.
    private let parameterSizes: [Int]?
    private let compiledReport: KernelReport?
    private let module: Module
    private let session: DriverSession
    /// The dynamic shared memory that a launch may ask for without the driver being told.
    private let permittedSharedBytes: Mutex<Int>

    init(_ session: DriverSession, _ kernel: CompiledKernel) throws(PowerAttentionError) {
        let module = try Module(session, kernel)
        let function = try module.function(kernel.source.function)
        func attribute(_ attribute: FunctionAttribute) throws(PowerAttentionError) -> Int {
            var value: CInt = 0
            try session.check(
                session.driver.funcGetAttribute(&value, attribute.rawValue, function), "cuFuncGetAttribute",
                kernel.source.description)
            return Int(value)
        }
        threadLimit = try attribute(.threadsPerBlock)
        sharedBytes = try attribute(.sharedBytes)
        localBytes = try attribute(.localBytes)
        registers = try attribute(.registers)
        compiledReport = kernel.report
        parameterSizes = Self.parameterSizes(session.driver, function)
        permittedSharedBytes = Mutex(48 * 1024 - sharedBytes)
        self.function = function
        self.module = module
        self.session = session
    }

    private static func parameterSizes(_ driver: Driver, _ function: Driver.Handle) -> [Int]? {
        guard let information = driver.funcGetParamInfo else { return nil }
        var sizes: [Int] = []
        var offset = 0
        var size = 0
        // A kernel has a few kibibytes of parameters at most: a driver that never says no ends here.
        while sizes.count < 4096, information(function, sizes.count, &offset, &size) == 0 { sizes.append(size) }
        return sizes
    }

    /// What the kernel takes of a multiprocessor, as the driver loaded it. Spills are the compiler's to tell.
    var report: KernelReport {
        var report = compiledReport ?? KernelReport()
        report.registers = registers
        report.stackBytes = localBytes
        report.sharedBytes = sharedBytes
        return report
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
        if !(1...max(1, threadLimit)).contains(launch.threads) { try refuse("threads", launch.threads, "1 to \(threadLimit)") }
        let limit = card.sharedMemoryPerBlock - sharedBytes
        if !(0...max(0, limit)).contains(launch.sharedBytes) { try refuse("sharedBytes", launch.sharedBytes, "0 to \(limit)") }
        // The driver would read whatever lies behind arguments that are missing.
        if let parameterSizes, !parameterSizes.elementsEqual(launch.arguments.lazy.map(\.byteCount)) {
            throw PowerAttentionError(
                argument: "arguments of \(launch.kernel)", given: "sizes \(launch.arguments.map(\.byteCount))",
                expected: "sizes \(parameterSizes) in bytes")
        }
        try permittedSharedBytes.withLock { permitted throws(PowerAttentionError) in
            guard launch.sharedBytes > permitted else { return }
            let attribute = FunctionAttribute.largestDynamicSharedBytes.rawValue
            try session.check(
                session.driver.funcSetAttribute(function, attribute, CInt(launch.sharedBytes)), "cuFuncSetAttribute",
                "\(launch.kernel) to \(launch.sharedBytes) bytes of shared memory")
            permitted = launch.sharedBytes
        }
    }
}
