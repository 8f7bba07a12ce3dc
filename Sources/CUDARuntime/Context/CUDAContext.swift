import Synchronization
package import Tensors

/// A card in use: its memory, its kernels, and one queue of work, in order. Any thread may call.
package final class CUDAContext: Sendable {
    package let properties: DeviceProperties
    let driver: Driver
    let allocator: CachingAllocator
    private let compiler: KernelCompiler
    private let primary: PrimaryContext
    private let stream: Stream
    private let functions = Mutex<[KernelSource: KernelFunction]>([:])
    private let observer = Mutex<(@Sendable (KernelLaunch) -> Void)?>(nil)
    private let compileTime = Mutex(0.0)

    /// A context of its own, on any driver. Programs use ``card(_:)``.
    package init(driver: Driver, compiler: KernelCompiler, ordinal: Int) throws(PowerAttentionError) {
        self.driver = driver
        self.compiler = compiler
        var count: Int32 = 0
        try driver.check(driver.deviceCount(&count), "cuDeviceGetCount")
        guard (0..<Int(count)).contains(ordinal) else {
            throw PowerAttentionError(
                .unsupported, argument: "GPU", given: "\(ordinal)",
                expected: count == 0 ? "a machine with an NVIDIA card" : "0…\(count - 1), the cards that the driver shows")
        }
        var device: Int32 = 0
        try driver.check(driver.device(&device, Int32(ordinal)), "cuDeviceGet")
        properties = try DeviceProperties(ordinal, device: device, driver: driver)
        primary = try PrimaryContext(device: device, driver)
        try driver.check(driver.setCurrentContext(primary.handle), "cuCtxSetCurrent")
        stream = try Stream(driver)
        allocator = CachingAllocator(driver)
    }

    private static let cards = Mutex<[Int: CUDAContext]>([:])

    /// The card of an ordinal, opened once.
    ///
    /// - Throws: `PowerAttentionError` where there is no driver, or no such card.
    package static func card(_ ordinal: Int = 0) throws(PowerAttentionError) -> CUDAContext {
        let driver = try Driver.system()
        let opened = cards.withLock { cards -> Result<CUDAContext, PowerAttentionError> in
            if let card = cards[ordinal] { return .success(card) }
            return Result { () throws(PowerAttentionError) in
                let card = try CUDAContext(driver: driver, compiler: KernelCompiler(), ordinal: ordinal)
                cards[ordinal] = card
                return card
            }
        }
        return try opened.get()
    }

    /// Makes the card the calling thread's own.
    private func enter() throws(PowerAttentionError) {
        try driver.check(driver.setCurrentContext(primary.handle), "cuCtxSetCurrent")
    }

    // MARK: Memory

    /// Memory with undefined contents.
    ///
    /// - Throws: `PowerAttentionError` with code `outOfMemory` where the card is full; the process can go on.
    package func allocate(_ byteCount: Int) throws(PowerAttentionError) -> DeviceMemory {
        try enter()
        return DeviceMemory(try allocator.take(byteCount), byteCount: byteCount, allocator: allocator)
    }

    package var memoryReport: MemoryReport {
        _ = driver.setCurrentContext(primary.handle)
        return allocator.report
    }

    /// Gives the memory that is kept for reuse back to the card, once all work is done.
    package func releaseCachedMemory() throws(PowerAttentionError) {
        try synchronize()
        allocator.releaseIdle()
    }

    /// Copies from the host, whose memory may be written to as soon as this returns.
    package func copy(_ source: UnsafeRawBufferPointer, to destination: DevicePointer) throws(PowerAttentionError) {
        guard let base = source.baseAddress, source.count > 0 else { return }
        try enter()
        try driver.check(
            driver.copyToDevice(destination.address, base, source.count, stream.handle), "cuMemcpyHtoD(\(source.count) bytes)")
    }

    /// Copies to the host: waits for all work before.
    package func copy(_ source: DevicePointer, to destination: UnsafeMutableRawBufferPointer) throws(PowerAttentionError) {
        guard let base = destination.baseAddress, destination.count > 0 else { return }
        try enter()
        try driver.check(
            driver.copyToHost(base, source.address, destination.count, stream.handle),
            "cuMemcpyDtoH(\(destination.count) bytes)")
        try synchronize()
    }

    package func copy(
        _ source: DevicePointer, to destination: DevicePointer, byteCount: Int
    ) throws(PowerAttentionError) {
        guard byteCount > 0 else { return }
        try enter()
        try driver.check(
            driver.copy(destination.address, source.address, byteCount, stream.handle), "cuMemcpyDtoD(\(byteCount) bytes)")
    }

    package func fill(_ destination: DevicePointer, byte: UInt8, byteCount: Int) throws(PowerAttentionError) {
        guard byteCount > 0 else { return }
        try enter()
        try driver.check(
            driver.fill(destination.address, byte, byteCount, stream.handle), "cuMemsetD8(\(byteCount) bytes)")
    }

    // MARK: Work

    /// Is told of every launch, before it.
    package var launchObserver: (@Sendable (KernelLaunch) -> Void)? {
        get { observer.withLock { $0 } }
        set { observer.withLock { $0 = newValue } }
    }

    /// Seconds spent on compiling kernels, or on reading them from the disk, so far.
    package var compileSeconds: Double { compileTime.withLock { $0 } }

    /// Compiles kernels that are not loaded yet, all at once.
    package func prepare(_ kernels: [KernelSource]) throws(PowerAttentionError) {
        let missing = functions.withLock { functions in kernels.filter { functions[$0] == nil } }
        guard !missing.isEmpty else { return }
        let start = ContinuousClock.now
        let compiled = try compiler.compile(missing, architecture: properties.architecture)
        compileTime.withLock { $0 += (ContinuousClock.now - start) / .seconds(1) }
        try enter()
        for (source, kernel) in zip(missing, compiled) {
            let function = try KernelFunction(kernel, function: source.function, driver)
            functions.withLock { $0[source] = $0[source] ?? function }
        }
    }

    /// Launches a kernel, compiling it where that has not been done; work is under way when this returns.
    package func launch(_ launch: KernelLaunch) throws(PowerAttentionError) {
        guard !launch.grid.isEmpty else { return }
        if functions.withLock({ $0[launch.kernel] }) == nil { try prepare([launch.kernel]) }
        guard let function = functions.withLock({ $0[launch.kernel] }) else { preconditionFailure("prepared above") }
        launchObserver?(launch)
        try enter()
        try function.allow(sharedBytes: launch.sharedBytes)
        let status = launch.withArguments { arguments in
            driver.launch(
                Driver.Launch(
                    function: function.handle, grid: (launch.grid.x, launch.grid.y, launch.grid.z), threads: launch.threads,
                    sharedBytes: launch.sharedBytes, stream: stream.handle, arguments: arguments))
        }
        try driver.check(status, "launch of \(launch)")
    }

    /// Waits for all work; throws what went wrong in it.
    package func synchronize() throws(PowerAttentionError) {
        try enter()
        try driver.check(driver.synchronizeStream(stream.handle), "cuStreamSynchronize")
    }

    /// A mark after all work so far.
    package func recordEvent() throws(PowerAttentionError) -> Event {
        try enter()
        return try Event(driver, stream: stream.handle)
    }

    /// Records what `body` launches instead of doing it. The graph keeps the memory that the work allocates.
    package func capture(_ body: () throws(PowerAttentionError) -> Void) throws(PowerAttentionError) -> Graph {
        try enter()
        try driver.check(driver.beginCapture(stream.handle), "cuStreamBeginCapture")
        allocator.beginCapture()
        var failure: PowerAttentionError?
        do throws(PowerAttentionError) { try body() } catch { failure = error }
        var graph: Driver.Handle = 0
        let status = driver.endCapture(stream.handle, &graph)
        let blocks = allocator.endCapture()
        if failure != nil || status != 0 { allocator.release(blocks) }
        if let failure { throw failure }
        try driver.check(status, "cuStreamEndCapture")
        return try Graph(graph, driver, allocator: allocator, blocks: blocks)
    }

    /// Does recorded work once more.
    package func replay(_ graph: borrowing Graph) throws(PowerAttentionError) {
        try enter()
        try driver.check(driver.launchGraph(graph.executable, stream.handle), "cuGraphLaunch")
    }
}
