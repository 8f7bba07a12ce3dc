import CUDARuntime
import Synchronization
import Tensors
import Testing

@Suite struct LaunchTests {
    let recorder = RecordingDriver()

    @Test func kernelsAreCompiledAndLoadedOnce() throws {
        let compiler = PretendingCompiler()
        let context = try recordedContext(recorder, compiler)
        let kernels = [PretendingCompiler.kernel(1), PretendingCompiler.kernel(2), PretendingCompiler.kernel(1)]
        try context.prepare(kernels)
        try context.prepare(kernels)
        try context.launch(launch())
        #expect(compiler.compilations == 2)
        #expect(
            recorder.takeTrace() == ["moduleLoad", "function f", "moduleLoad", "function f", "launch f 2x3x1 128 0"])
    }

    /// 48 KiB less the kernel's own kibibyte are everybody's; the driver is told about more, once a size.
    @Test func moreSharedMemoryIsAskedFor() throws {
        let context = try recordedContext(recorder)
        for bytes in [47 * 1024, 100_000, 100_000, 50_000, 200_000] { try context.launch(launch(sharedBytes: bytes)) }
        #expect(
            recorder.takeTrace().dropFirst(2) == [
                "launch f 2x3x1 128 48128", "setAttribute 8 to 100000", "launch f 2x3x1 128 100000",
                "launch f 2x3x1 128 100000", "launch f 2x3x1 128 50000", "setAttribute 8 to 200000",
                "launch f 2x3x1 128 200000",
            ])
    }

    @Test func kernelsMayStartBeforeTheOneBeforeIsOver() throws {
        let context = try recordedContext(recorder)
        let late = launch()
        try context.launch(late)
        try context.launch(
            KernelLaunch(late.kernel, grid: late.grid, threads: late.threads, arguments: late.arguments, startsEarly: true))
        #expect(recorder.takeTrace().dropFirst(2) == ["launch f 2x3x1 128 0", "launch f 2x3x1 128 0 early"])
    }

    @Test(arguments: [
        (launch(threads: 257), "threads of f[VALUE=1]: 257 given, expected 1 to 256"),
        (launch(threads: 0), "threads of f[VALUE=1]: 0 given"),
        (launch(grid: .init(1, 65_536)), "grid.y of f[VALUE=1]: 65536 given, expected 1 to 65535"),
        (launch(grid: .init(1 << 31)), "grid.x of f[VALUE=1]: 2147483648 given"),
        (launch(grid: .init(-1)), "grid.x of f[VALUE=1]: -1 given"),
        (launch(sharedBytes: 231_425), "sharedBytes of f[VALUE=1]: 231425 given, expected 0 to 231424"),
        (launch(sharedBytes: -1), "sharedBytes of f[VALUE=1]: -1 given"),
    ])
    func launchesBeyondTheLimitsAreRefused(_ launch: KernelLaunch, _ text: String) throws {
        let context = try recordedContext(recorder)
        let error = #expect(throws: PowerAttentionError.self) { try context.launch(launch) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.description.hasPrefix(text) == true, "\(error?.description ?? "")")
        #expect(!recorder.takeTrace().contains { $0.hasPrefix("launch") })
    }

    @Test func errorsNameTheCallTheKernelAndTheDriversWords() throws {
        let context = try recordedContext(recorder)
        try context.launch(launch())
        recorder.fail("synchronize", with: 700)
        let error = #expect(throws: PowerAttentionError.self) { try context.synchronize() }
        let text = error?.description ?? ""
        #expect(error?.code == .device)
        #expect(
            text.hasPrefix(
                "cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered, expected success"))
        #expect(text.contains("the last one first: f[VALUE=1])"))
        // What was waited for is not blamed again.
        recorder.fail("synchronize", with: 0)
        try context.synchronize()
        recorder.fail("fill", with: 1)
        let later = #expect(throws: PowerAttentionError.self) {
            try context.fill(DevicePointer(address: 4096), byte: 0, byteCount: 1)
        }
        #expect(
            later?.description == "cuMemsetD8Async of 1 bytes: CUDA_ERROR_INVALID_VALUE: invalid argument, expected success")
    }

    /// The card's failures may come out of any call.
    @Test func laterCallsNameTheLastKernels() throws {
        let context = try recordedContext(recorder)
        for value in 1...6 {
            try context.launch(
                KernelLaunch(PretendingCompiler.kernel(value), grid: .init(1), threads: 32, arguments: []))
        }
        let event = try context.recordEvent()
        recorder.fail("eventSynchronize", with: 700)
        recorder.fail("memAlloc", with: 700)
        let names = "f[VALUE=6], f[VALUE=5], f[VALUE=4], f[VALUE=3] and 2 before"
        #expect(throws: PowerAttentionError.self) { try event.wait() }
        do { try event.wait() } catch { #expect(error.expected.contains(names) && error.argument == "cuEventSynchronize") }
        do { _ = try context.allocate(8) } catch { #expect(error.expected.contains(names) && error.code == .device) }
        recorder.fail("fill", with: 1)
        do { try context.fill(DevicePointer(address: 1), byte: 0, byteCount: 1) } catch { #expect(error.expected == "success") }
    }

    @Test func argumentsMustBeThoseOfTheKernel() throws {
        recorder.parameterSizes = [8, 4, 8]
        let context = try recordedContext(recorder)
        try context.launch(launch([.pointer(nil), .float(1), .int64(2)]))
        for arguments: [KernelArgument] in [
            [.pointer(nil), .int64(1), .int64(1)], [.pointer(nil), .int32(1), .int64(1), .int32(1)],
        ] {
            let error = #expect(throws: PowerAttentionError.self) { try context.launch(launch(arguments)) }
            #expect(error?.argument == "arguments of f[VALUE=1]" && error?.expected == "sizes [8, 4, 8] in bytes")
        }
        #expect(recorder.takeTrace().filter { $0.hasPrefix("launch") }.count == 1)
    }

    @Test func tensorMapsAreArguments() throws {
        #expect(throws: PowerAttentionError.self) {
            try recordedContext(recorder).tensorMap(DevicePointer(address: 256), rows: 2, columns: 64, boxRows: 2)
        }
        recorder.encodesTensorMaps = true
        recorder.parameterSizes = [8, 128, 4]
        let context = try recordedContext(recorder)
        #expect(context.hasTensorMaps)
        let error = #expect(throws: PowerAttentionError.self) {
            try context.tensorMap(DevicePointer(address: 256), rows: 3, columns: 64, boxRows: 2)
        }
        #expect(error?.argument.contains("cuTensorMapEncodeTiled of [3, 64] in boxes of 2 rows") == true)
        let map = try context.tensorMap(DevicePointer(address: 256), rows: 2, columns: 64, boxRows: 2)
        try context.launch(launch([.pointer(nil), .tensorMap(map), .int32(7)]))
        #expect(throws: PowerAttentionError.self) { try context.launch(launch([.pointer(nil), .int64(1), .int32(7)])) }
    }

    /// Between the last use of its owner and the launch, another thread might be given the memory.
    @Test func argumentsHoldTheirMemoryUntilTheLaunchIsQueued() throws {
        let context = try recordedContext(recorder)
        let held = Mutex(0)
        context.launchObserver = { _ in held.withLock { $0 = context.memoryReport.inUse } }
        func partialSums() throws -> KernelLaunch { launch([.memory(try context.allocate(4096))]) }
        try context.launch(partialSums())
        #expect(held.withLock { $0 } >= 4096)
        #expect(context.memoryReport.inUse == 0)
        context.launchObserver = nil
    }

    @Test func aRefusedLaunchIsDescribed() throws {
        let context = try recordedContext(recorder)
        recorder.fail("launch", with: 1)
        let error = #expect(throws: PowerAttentionError.self) { try context.launch(launch(sharedBytes: 64)) }
        #expect(
            error?.description.hasPrefix(
                "cuLaunchKernel of f[VALUE=1] grid 2×3×1, 128 threads, 64 bytes shared: CUDA_ERROR_INVALID_VALUE: invalid argument"
            )
                == true)
    }

    @Test func anUnknownResultKeepsItsNumber() throws {
        let context = try recordedContext(recorder)
        recorder.fail("synchronize", with: 12_345)
        let error = #expect(throws: PowerAttentionError.self) { try context.synchronize() }
        #expect(error?.given == "error 12345")
    }

    @Test func aDriverWithoutACardSaysSo() {
        var driver = recorder.driver
        driver.initialize = { _ in 100 }
        let error = #expect(throws: PowerAttentionError.self) { try driver.start("/lib/libcuda.so.1") }
        #expect(error?.code == .unsupported)
        #expect(
            error?.description.hasPrefix("cuInit of /lib/libcuda.so.1: CUDA_ERROR_NO_DEVICE: no CUDA-capable device") == true)
    }

    @Test func cardsThatAreNotThereAreRefused() {
        let error = #expect(throws: PowerAttentionError.self) {
            try CUDAContext(driver: recorder.driver, compiler: PretendingCompiler().kernelCompiler(), ordinal: 3)
        }
        #expect(error?.description == "device: cuda:3 given, expected 0, the only card")
    }
}
