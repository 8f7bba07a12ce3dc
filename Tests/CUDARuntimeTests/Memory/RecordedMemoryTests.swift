import CUDARuntime
import Tensors
import Testing

@Suite struct RecordedMemoryTests {
    /// Blocks come and go as in a capture, by sizes alone.
    @Test(arguments: 1...4 as ClosedRange<UInt64>) func itIsWhatACaptureTakes(seed: UInt64) throws {
        let context = try recordedContext(RecordingDriver())
        var generator = RandomGenerator(seed: seed)
        var reckoned = RecordedMemory()
        var held = 0
        let graph = try context.capture { () throws(PowerAttentionError) in
            var living: [(DeviceMemory, RecordedMemory.Block)] = []
            for _ in 0..<300 {
                if !living.isEmpty, generator.next() % 2 == 0 {
                    let (_, block) = living.remove(at: Int(generator.next() % UInt64(living.count)))
                    reckoned.release(block)
                } else {
                    let bytes = 1 << 14 + Int(generator.next() % (1 << 20))
                    living.append((try context.allocate(bytes), reckoned.take(bytes)))
                }
            }
            held = context.memoryReport.inUse
        }
        #expect(reckoned.held == held && reckoned.peak < reckoned.held)
        withExtendedLifetime(graph) {}
    }

    @Test func thePeakIsWhatIsInUseAtATime() {
        var memory = RecordedMemory()
        let first = memory.take(1 << 20)
        memory.release(first)
        let second = memory.take(1 << 22)
        #expect(memory.held == 5 << 20 && memory.peak == 4 << 20)
        #expect(memory.take(1 << 20) == first && second != first)
        #expect(memory.held == 5 << 20 && memory.peak == 5 << 20)
        #expect(RecordedMemory.blockBytes(65_537) == 72 << 10)
    }
}
