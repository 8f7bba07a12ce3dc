import Synchronization
import Tensors

/// A kernel on a card, ready to be launched.
final class LoadedKernel: Sendable {
    let function: Driver.Handle
    /// What the loaded code takes: for PTX, known only now.
    let registers, localBytes, sharedBytes, threadLimit: Int
    private let compiledReport: KernelReport?
    private let module: Module
    private let session: DriverSession
    /// The sizes of the arguments of the last launch that was found right.
    private let checkedSizes = Mutex<[Int]?>(nil)
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
        permittedSharedBytes = Mutex(48 * 1024 - sharedBytes)
        self.function = function
        self.module = module
        self.session = session
    }

    /// The sizes in bytes of the first parameters, where the driver can tell: fewer where there are fewer. Asking for one more would be an
    /// error, which tools that watch the driver report.
    private func parameterSizes(_ count: Int) -> [Int]? {
        guard let information = session.driver.funcGetParamInfo else { return nil }
        var sizes: [Int] = []
        var offset = 0
        var size = 0
        while sizes.count < count, information(function, sizes.count, &offset, &size) == 0 { sizes.append(size) }
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
        try checkArguments(launch)
        try permittedSharedBytes.withLock { permitted throws(PowerAttentionError) in
            guard launch.sharedBytes > permitted else { return }
            let attribute = FunctionAttribute.largestDynamicSharedBytes.rawValue
            try session.check(
                session.driver.funcSetAttribute(function, attribute, CInt(launch.sharedBytes)), "cuFuncSetAttribute",
                "\(launch.kernel) to \(launch.sharedBytes) bytes of shared memory")
            permitted = launch.sharedBytes
        }
    }

    private func checkArguments(_ launch: KernelLaunch) throws(PowerAttentionError) {
        let sizes = launch.arguments.map(\.byteCount)
        // A kernel is launched in one place: what was right once is right again.
        if checkedSizes.withLock({ $0 == sizes }) { return }
        if let parameterSizes = parameterSizes(sizes.count), parameterSizes != sizes {
            throw PowerAttentionError(
                argument: "arguments of \(launch.kernel)", given: "sizes \(sizes)", expected: "sizes \(parameterSizes) in bytes"
            )
        }
        checkedSizes.withLock { $0 = sizes }
    }
}
