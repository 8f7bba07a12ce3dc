import CUDARuntime
import Tensors
import Testing

@Suite struct AllocatorTests {
    let recorder = RecordingDriver()

    @Test func memoryIsUsedAgain() throws {
        let context = try recordedContext(recorder)
        for _ in 0..<3 { #expect(try context.allocate(1000).pointer.address == 0x10000) }
        #expect(recorder.takeTrace() == ["memAlloc 1024"])
        let first = try context.allocate(1000)
        let second = try context.allocate(1000)
        #expect(first.pointer != second.pointer)
        #expect(recorder.takeTrace() == ["memAlloc 1024"])
    }

    @Test func theSmallestBlockThatFitsIsTaken() throws {
        let context = try recordedContext(recorder)
        let mebibyte = 1 << 20
        var large: DeviceMemory? = try context.allocate(8 * mebibyte)
        var fitting: DeviceMemory? = try context.allocate(5 * mebibyte)
        let address = fitting?.pointer
        (large, fitting) = (nil, nil)
        #expect(large == nil)
        _ = recorder.takeTrace()
        #expect(try context.allocate(4 * mebibyte + 1).pointer == address)
        // Half as large again is the most: a mebibyte does not take five.
        #expect(try context.allocate(mebibyte).pointer != address)
        #expect(recorder.takeTrace() == ["memAlloc \(mebibyte)"])
    }

    /// A block is at most an eighth larger than asked, from 4 KiB on.
    @Test(arguments: [4097, 5000, 65_537, 1_000_000, 123_456_789, 1 << 33 + 1]) func sizesWasteLittle(_ bytes: Int) throws {
        let context = try recordedContext(recorder)
        _ = try context.allocate(bytes)
        let asked = try #require(recorder.takeTrace().first?.split(separator: " ").last.flatMap { Int($0) })
        #expect(asked >= bytes && asked % 512 == 0 && Double(asked) <= Double(bytes) * 1.125 + 512)
    }

    @Test func theReportCounts() throws {
        let context = try recordedContext(recorder)
        recorder.capacity = 1 << 20
        let kept = try context.allocate(4096)
        _ = try context.allocate(2048)
        let report = context.memoryReport
        #expect(report == context.memoryReport)
        #expect([report.inUse, report.idle, report.peak] == [4096, 2048, 6144])
        #expect([report.free, report.total] == [(1 << 20) - 6144, 1 << 20])
        context.releaseCachedMemory()
        #expect(context.memoryReport.idle == 0 && context.memoryReport.inUse == 4096)
        #expect(recorder.takeTrace() == ["memAlloc 4096", "memAlloc 2048", "synchronize", "memFree 0x20000"])
        _ = kept
    }

    @Test func idleMemoryIsGivenBackBeforeFailing() throws {
        let context = try recordedContext(recorder)
        recorder.capacity = 10 << 20
        _ = try context.allocate(8 << 20)
        let next = try context.allocate(4 << 20)
        #expect(
            recorder.takeTrace() == [
                "memAlloc 8388608", "memAlloc 4194304", "synchronize", "memFree 0x10000", "memAlloc 4194304",
            ])
        #expect(next.byteCount == 4 << 20)
    }

    @Test func outOfMemorySaysHowMuchAndIsSurvived() throws {
        let context = try recordedContext(recorder)
        recorder.capacity = 10 << 20
        let held = try context.allocate(6 << 20)
        let error = #expect(throws: PowerAttentionError.self) { try context.allocate(8 << 20) }
        #expect(error?.code == .outOfMemory)
        #expect(
            error?.description.hasPrefix(
                "memory of card 0 (Recorder): 8.0 MiB asked for, with 6.0 MiB in use (at most 6.0 MiB), 0 bytes idle, "
                    + "4.0 MiB free of 10.0 MiB, expected less at a time") == true, "\(error?.description ?? "")")
        #expect(error?.description.contains("CUDA_ERROR_OUT_OF_MEMORY") == true)
        try context.launch(launch([.pointer(held.pointer)]))
        #expect(try context.allocate(3 << 20).byteCount == 3 << 20)
        #expect(context.memoryReport.inUse == 6 << 20)
    }

    @Test(arguments: [Int.max, Int.max - 1, 1 << 62]) func absurdSizesAreRefused(_ bytes: Int) throws {
        let context = try recordedContext(recorder)
        recorder.capacity = 1 << 30
        let error = #expect(throws: PowerAttentionError.self) { try context.allocate(bytes) }
        #expect(error?.code == .outOfMemory)
    }

    @Test func negativeSizesAreRefused() throws {
        let context = try recordedContext(recorder)
        let error = #expect(throws: PowerAttentionError.self) { try context.allocate(-1) }
        #expect(error?.description == "byteCount: -1 given, expected 0 or more")
        #expect(try context.allocate(0).byteCount == 0)
    }
}
