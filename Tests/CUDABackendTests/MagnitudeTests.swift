import BackendInterface
import CUDABackend
import CUDARuntime
import Tensors
import Testing

/// Magnitudes that are given lead to the bits that those lead to which the card finds out: rows far from one, ordinary rows, and rows of
/// zeros, in sequences of one chunk or several.
@Suite(.enabled(if: (try? CUDABackend.shared()) != nil)) struct MagnitudeTests {
    @Test(
        arguments: [DataType.float32, .bfloat16],
        [(AttentionConfiguration.Form.chunked, false), (.chunked, true), (.attention, false), (.attention, true)])
    func givenOnes(type: DataType, call: (form: AttentionConfiguration.Form, gated: Bool)) throws {
        let gated = call.gated
        let (tokens, queryHeads, keyHeads, width) = (300, 4, 2, 16)
        let context = try CUDABackend.shared().context
        let problem = AttentionProblem(
            mechanism: .power(degree: 2), normalization: .sum, form: call.form, scale: 0.25, chunkSize: 64, tile: 1,
            sequences: [0..<170, 170..<tokens], tokenCount: tokens, queryHeads: queryHeads, keyHeads: keyHeads,
            keyWidth: width, valueWidth: width)
        let pass = try AttentionPass(context, problem, dataType: type, isGated: gated)
        var random = RandomGenerator(seed: 31)
        func rows(_ heads: Int) -> Tensor { random.normal([1, tokens, heads, width], .float32) }
        func uneven(_ heads: Int) -> Tensor {
            var numbers = rows(heads).array(of: Float.self)
            for index in numbers.indices {
                let row = index / width
                numbers[index] *= row % 7 == 0 ? 0 : row % 5 == 0 ? 0x1p60 : row % 3 == 0 ? 0x1p-60 : 1
            }
            return Tensor([1, tokens, heads, width], numbers).converted(to: type)
        }
        let (q, k) = (uneven(queryHeads), uneven(keyHeads))
        let (v, dy) = (rows(keyHeads).converted(to: type), rows(queryHeads).converted(to: type))
        let gates = Tensor([1, tokens, keyHeads], (0..<tokens * keyHeads).map { -0.01 * Float($0 % 7) })
        var memory: [DeviceMemory] = []
        for tensor in [q, k, v, dy, gates, Self.magnitudes(q), Self.magnitudes(k)] { memory.append(try context.upload(tensor)) }
        func results(_ magnitudes: (q: DevicePointer, k: DevicePointer)?) throws -> [[UInt8]] {
            let inputs = PassInputs(
                q: memory[0].pointer, k: memory[1].pointer, v: memory[2].pointer, logG: gated ? memory[4].pointer : nil,
                magnitudes: magnitudes)
            let output = try pass.forward(inputs)
            let gradients = try pass.backward(inputs, output, dy: memory[3].pointer)
            return try ([output.y] + [gradients.q, gradients.k, gradients.v, gradients.logG].compactMap(\.self)).map { memory in
                var bytes = [UInt8](repeating: 0, count: memory.byteCount)
                try bytes.withUnsafeMutableBytes { try context.copy(memory.pointer, to: $0) }
                return bytes
            }
        }
        let expected = try results(nil)
        #expect(try results((memory[5].pointer, memory[6].pointer)) == expected)
        // They are what is read.
        try context.fill(memory[5].pointer, byte: 0, byteCount: memory[5].byteCount)
        #expect(try results((memory[5].pointer, memory[6].pointer)) != expected)
    }

    /// The largest of every row.
    private static func magnitudes(_ x: Tensor) -> Tensor {
        let (numbers, width) = (x.converted(to: .float32).array(of: Float.self), x.shape[3])
        let rows = stride(from: 0, to: numbers.count, by: width).map { row in
            numbers[row..<row + width].reduce(0) { max($0, abs($1)) }
        }
        return Tensor(Array(x.shape.dropLast()), rows)
    }
}
