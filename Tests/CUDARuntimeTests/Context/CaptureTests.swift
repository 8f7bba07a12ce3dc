import CUDARuntime
import Dispatch
import Foundation
import Synchronization
import Tensors
import Testing

@Suite struct CaptureTests {
    let recorder = RecordingDriver()

    @Test func aStepIsCapturedAndReplayed() throws {
        let context = try recordedContext(recorder)
        do {
            let graph = try context.capture { () throws(PowerAttentionError) in
                let memory = try context.allocate(1000)
                try context.fill(memory.pointer, byte: 0, byteCount: 1000)
                try context.launch(launch([.pointer(memory.pointer)]))
            }
            try context.replay(graph)
            try context.replay(graph)
        }
        #expect(
            recorder.takeTrace() == [
                "beginCapture mode 2", "memAlloc 1024", "fill 0x10000 with 0 1000", "moduleLoad", "function f",
                "launch f 2x3x1 128 0", "endCapture", "instantiate", "graphDestroy", "graphLaunch", "graphLaunch",
                "graphExecDestroy",
            ])
    }

    @Test func aGraphHoldsWhatItUses() throws {
        let context = try recordedContext(recorder)
        var before: DeviceMemory? = try context.allocate(1000)
        let inside = Mutex<[UInt64]>([])
        let address = before?.pointer.address
        do {
            let graph = try context.capture { () throws(PowerAttentionError) in
                let pointer = before?.pointer.advanced(by: 100)
                try context.launch(launch([.pointer(pointer), .pointer(nil), .int64(1)]))
                // Owned before the capture: every replay reads it, nothing else may go there.
                before = nil
                for _ in 0..<2 {
                    let memory = try context.allocate(1000)
                    inside.withLock { $0.append(memory.pointer.address) }
                }
            }
            let addresses = inside.withLock { $0 }
            #expect(addresses[0] == addresses[1] && addresses[0] != address)
            let other = try context.allocate(1000)
            #expect(other.pointer.address != address && other.pointer.address != addresses[0])
            #expect(context.memoryReport.inUse == 3 * 1024 && context.memoryReport.idle == 0)
            context.releaseCachedMemory()
            try context.replay(graph)
        }
        #expect(context.memoryReport.inUse == 0 && context.memoryReport.idle == 3 * 1024)
    }

    @Test func whatAGraphGivesMayOutliveItsBody() throws {
        let context = try recordedContext(recorder)
        var result: DeviceMemory?
        do {
            let graph = try context.capture { () throws(PowerAttentionError) in result = try context.allocate(1000) }
            try context.replay(graph)
        }
        #expect(context.memoryReport.inUse == 1024)
        result = nil
        #expect(result == nil && context.memoryReport.inUse == 0)
    }

    @Test func copiesToTheCardAreKept() throws {
        let context = try recordedContext(recorder)
        let memory = try context.allocate(4)
        let graph = try context.capture { () throws(PowerAttentionError) in
            let bytes: [UInt8] = [1, 2, 3, 4]
            try bytes.span.bytes.withUnsafeBytes { bytes throws(PowerAttentionError) in
                try context.copy(bytes, to: memory.pointer)
            }
        }
        try context.replay(graph)
        #expect(!recorder.takeTrace().contains("synchronize"))
    }

    @Test func whatWaitsIsRefusedWithin() throws {
        let context = try recordedContext(recorder)
        let memory = try context.allocate(4)
        let bodies: [(String, () throws(PowerAttentionError) -> Void)] = [
            ("synchronize", { () throws(PowerAttentionError) in try context.synchronize() }),
            ("recordEvent", { () throws(PowerAttentionError) in _ = try context.recordEvent() }),
            ("capture", { () throws(PowerAttentionError) in _ = try context.capture {} }),
            (
                "copy to the host",
                { () throws(PowerAttentionError) in
                    var byte: UInt8 = 0
                    let failure = withUnsafeMutableBytes(of: &byte) { bytes in
                        do throws(PowerAttentionError) { try context.copy(memory.pointer, to: bytes) } catch {
                            return Optional(error)
                        }
                        return nil
                    }
                    if let failure { throw failure }
                }
            ),
        ]
        for (name, body) in bodies {
            let error = #expect(throws: PowerAttentionError.self) { _ = try context.capture(body) }
            #expect(error?.description == "\(name): within the capture of a graph given, expected before or after it")
        }
        try context.synchronize()
        #expect(recorder.takeTrace().filter { $0 == "endCapture" }.count == 4)
    }

    @Test func aFailedCaptureHoldsNothing() throws {
        let context = try recordedContext(recorder)
        recorder.fail("endCapture", with: 901)
        let error = #expect(throws: PowerAttentionError.self) {
            _ = try context.capture { () throws(PowerAttentionError) in _ = try context.allocate(1000) }
        }
        #expect(error?.argument == "cuStreamEndCapture")
        #expect(context.memoryReport.inUse == 0)
        recorder.fail("endCapture", with: 0)
        _ = try context.capture {}
    }

    @Test func otherThreadsStayOutOfACapture() throws {
        let context = try recordedContext(recorder)
        let isCapturing = DispatchSemaphore(value: 0)
        let isAboutToFill = DispatchSemaphore(value: 0)
        let isDone = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            isCapturing.wait()
            isAboutToFill.signal()
            try? context.fill(DevicePointer(address: 64), byte: 9, byteCount: 9)
            isDone.signal()
        }
        _ = try context.capture { () throws(PowerAttentionError) in
            isCapturing.signal()
            isAboutToFill.wait()
            // Without the lock, this is ample time for the other thread to get in.
            Thread.sleep(forTimeInterval: 0.05)
        }
        isDone.wait()
        let calls = recorder.takeTrace().filter { $0.hasPrefix("fill") || $0.hasSuffix("apture") || $0.hasPrefix("begin") }
        #expect(calls == ["beginCapture mode 2", "endCapture", "fill 0x40 with 9 9"])
    }
}
