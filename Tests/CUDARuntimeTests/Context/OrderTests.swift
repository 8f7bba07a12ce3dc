import CUDARuntime
import Synchronization
import Tensors
import Testing

/// What the driver is asked, in which order.
@Suite struct OrderTests {
    let recorder = RecordingDriver()

    @Test func ownersGoBeforeTheirContext() throws {
        do {
            let context = try CUDAContext(
                driver: recorder.driver, compiler: PretendingCompiler().kernelCompiler(), ordinal: 0)
            try context.launch(launch())
            _ = try context.allocate(100)
        }
        let trace = recorder.takeTrace()
        #expect(trace.prefix(2) == ["contextRetain", "streamCreate"])
        #expect(trace.last == "contextRelease")
        for call in ["streamDestroy", "moduleUnload", "memFree 0x10000"] { #expect(trace.filter { $0 == call }.count == 1) }
        #expect(recorder.held == 0)
    }

    @Test func memoryOutlivesTheContextThatGaveIt() throws {
        var memory: DeviceMemory? = try recordedContext(recorder).allocate(100)
        #expect(memory?.byteCount == 100 && !recorder.takeTrace().contains("contextRelease"))
        memory = nil
        #expect(recorder.takeTrace() == ["memFree 0x10000", "contextRelease"])
    }

    @Test func aStepIsCopiesLaunchesAndAWait() throws {
        let context = try recordedContext(recorder)
        let launches = Mutex<[String]>([])
        context.launchObserver = { launch in launches.withLock { $0.append(launch.description) } }
        let x = try context.allocate(1000)
        var bytes = [UInt8](repeating: 1, count: 1000)
        try bytes.withUnsafeBytes { try context.copy($0, to: x.pointer) }
        try context.fill(x.pointer.advanced(by: 512), byte: 7, byteCount: 88)
        try context.launch(launch([.pointer(x.pointer), .int32(3)]))
        try context.launch(launch(grid: .init(0, 4)))
        try context.copy(x.pointer, to: x.pointer.advanced(by: 256), byteCount: 128)
        try bytes.withUnsafeMutableBytes { try context.copy(x.pointer, to: $0) }
        #expect(
            recorder.takeTrace() == [
                "memAlloc 1024", "copyToCard 0x10000 1000", "synchronize", "fill 0x10200 with 7 88", "moduleLoad", "function f",
                "launch f 2x3x1 128 0", "copy 0x10000 to 0x10100 128", "copyToHost 0x10000 1000", "synchronize",
            ])
        #expect(launches.withLock { $0 } == ["f[VALUE=1] grid 2×3×1, 128 threads, 0 bytes shared"])
    }

    @Test func nothingIsCopiedWhereThereIsNothing() throws {
        let context = try recordedContext(recorder)
        let x = try context.allocate(0)
        _ = recorder.takeTrace()
        try context.copy(UnsafeRawBufferPointer(start: nil, count: 0), to: x.pointer)
        try context.copy(x.pointer, to: UnsafeMutableRawBufferPointer(start: nil, count: 0))
        try context.copy(x.pointer, to: x.pointer, byteCount: 0)
        try context.fill(x.pointer, byte: 0, byteCount: 0)
        #expect(recorder.takeTrace().isEmpty)
    }

    @Test func eventsTime() throws {
        let context = try recordedContext(recorder)
        let start = try context.recordEvent()
        let end = try context.recordEvent()
        #expect(try end.milliseconds(since: start) == 1.5)
        #expect(
            recorder.takeTrace() == [
                "eventCreate", "eventRecord", "eventCreate", "eventRecord", "eventSynchronize", "eventSynchronize",
                "eventElapsedTime",
            ])
    }

    @Test func manyThreadsMayUseACard() throws {
        let context = try recordedContext(recorder)
        let failures = Mutex(0)
        parallelFor(64) { _ in
            do {
                let memory = try context.allocate(4096)
                try context.launch(launch([.pointer(memory.pointer)]))
                try context.synchronize()
            } catch { failures.withLock { $0 += 1 } }
        }
        #expect(failures.withLock { $0 } == 0)
        let trace = recorder.takeTrace()
        #expect(trace.filter { $0.hasPrefix("launch") }.count == 64)
        #expect(trace.filter { $0 == "moduleLoad" }.count == 1)
        #expect(context.memoryReport.inUse == 0)
    }
}
