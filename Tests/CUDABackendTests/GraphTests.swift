import BackendInterface
import CUDABackend
import CUDARuntime
import Synchronization
import Tensors
import Testing

/// A call forward and back, recorded once, gives the same bits as when its kernels are launched one by one.
@Suite(.enabled(if: (try? CUDABackend.shared()) != nil)) struct GraphTests {
    @Test func replayGivesTheSameBits() throws {
        let context = try CUDABackend.shared().context
        let problem = AttentionProblem(
            mechanism: .power(degree: 2), normalization: .sum, form: .chunked, scale: 0.25, chunkSize: 16, tile: 1,
            sequences: [0..<120], tokenCount: 120, queryHeads: 2, keyHeads: 1, keyWidth: 16, valueWidth: 16)
        // So many chunks are summed one by one, and a scan adds them up.
        let pass = try AttentionPass(context, problem, dataType: .float32, isGated: true)
        try pass.prepare()
        var random = RandomGenerator(seed: 7)
        func upload(_ heads: Int, _ width: Int) throws -> DeviceMemory {
            try context.upload(random.normal([1, 120, heads, width]).converted(to: .float32))
        }
        let (q, k, v, dy) = (try upload(2, 16), try upload(1, 16), try upload(1, 16), try upload(2, 16))
        var gates = Tensor([1, 120, 1], .float32)
        gates.withMutableElements(of: Float.self) { for index in $0.indices { $0[index] = -0.01 * Float(index % 7) } }
        let logG = try context.upload(gates)
        let inputs = PassInputs(q: q.pointer, k: k.pointer, v: v.pointer, logG: logG.pointer)

        let output = try pass.forward(inputs)
        let gradients = try pass.backward(inputs, output, dy: dy.pointer)
        let expected = try [output.y, #require(gradients.q), #require(gradients.k), #require(gradients.v)].map {
            try bytes($0, context)
        }
        #expect(expected[0].contains { $0 != 0 })

        var memory: [DeviceMemory] = []
        let graph = try context.capture { () throws(PowerAttentionError) in
            let output = try pass.forward(inputs)
            let gradients = try pass.backward(inputs, output, dy: dy.pointer)
            memory = [output.y] + [gradients.q, gradients.k, gradients.v].compactMap(\.self)
        }
        for part in memory { try context.fill(part.pointer, byte: 0, byteCount: part.byteCount) }
        try context.replay(graph)
        let replayed = try memory.map { try bytes($0, context) }
        #expect(replayed == expected)
    }

    /// What reads states starts beside the walk that makes them.
    @Test func readersOfStatesStartBesideTheWalk() throws {
        // One of its own, in which no other test launches anything.
        let context = try CUDAContext(driver: .system(), compiler: .shared, ordinal: 0)
        guard context.properties.architecture.hasPrefix("sm_90") else { return }
        let (tokens, heads) = (100, 32)
        let problem = AttentionProblem(
            mechanism: .power(degree: 2), normalization: .sum, form: .chunked, scale: 0.25, chunkSize: 32, tile: 4,
            sequences: [0..<tokens], tokenCount: tokens, queryHeads: heads, keyHeads: heads, keyWidth: 32, valueWidth: 32)
        let pass = try AttentionPass(context, problem, dataType: .bfloat16, isGated: false)
        var random = RandomGenerator(seed: 8)
        let rows = try (0..<4).map { _ in
            try context.upload(random.normal([1, tokens, heads, 32]).converted(to: .bfloat16))
        }
        // What a launch holds would be kept by keeping it.
        struct Launch: Sendable {
            let function: String
            let startsEarly: Bool
        }
        let launches = Mutex<[Launch]>([])
        context.launchObserver = { launch in
            launches.withLock { $0.append(Launch(function: launch.kernel.function, startsEarly: launch.startsEarly)) }
        }
        defer { context.launchObserver = nil }
        let inputs = PassInputs(q: rows[0].pointer, k: rows[1].pointer, v: rows[2].pointer, logG: nil)
        let output = try pass.forward(inputs)
        _ = try pass.backward(inputs, output, dy: rows[3].pointer)
        let all = launches.withLock { $0 }
        let early = all.indices.filter { all[$0].startsEarly }
        #expect(early.map { all[$0].function } == ["attention_forward", "attention_backward_keys"])
        #expect(early.map { all[$0 - 1].function } == ["state_update", "state_update"])
    }

    private func bytes(_ memory: DeviceMemory, _ context: CUDAContext) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: memory.byteCount)
        try bytes.withUnsafeMutableBytes { try context.copy(memory.pointer, to: $0) }
        return bytes
    }
}
