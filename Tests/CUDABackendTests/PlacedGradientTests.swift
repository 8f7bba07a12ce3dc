import BackendInterface
import CUDABackend
import CUDARuntime
import Tensors
import Testing

/// The gradient of values among the columns of longer rows has the bits that it has in a tensor of its own, and the other columns stay. In
/// float32 by the kernel of all cards, in bfloat16 by Hopper's where that is the card.
@Suite(.enabled(if: (try? CUDABackend.shared()) != nil)) struct PlacedGradientTests {
    private static let (tokens, heads, width, first, stride) = (200, 2, 32, 16, 96)

    @Test(arguments: [DataType.float32, .bfloat16]) func valuesStandInTheirColumns(type: DataType) throws {
        let (tokens, heads, width) = (Self.tokens, Self.heads, Self.width)
        let context = try CUDABackend.shared().context
        let problem = AttentionProblem(
            mechanism: .power(degree: 2), normalization: .sum, form: .chunked, scale: 0.25, chunkSize: 128, tile: 1,
            sequences: [0..<tokens], tokenCount: tokens, queryHeads: heads, keyHeads: heads, keyWidth: width,
            valueWidth: width)
        let pass = try AttentionPass(context, problem, dataType: type, isGated: false)
        var random = RandomGenerator(seed: 8)
        var given: [DeviceMemory] = []
        for _ in 0..<4 { given.append(try context.upload(random.normal([1, tokens, heads, width]).converted(to: type))) }
        let inputs = PassInputs(q: given[0].pointer, k: given[1].pointer, v: given[2].pointer, logG: nil)
        let output = try pass.forward(inputs)
        let expected = try rows(#require(pass.backward(inputs, output, dy: given[3].pointer).v), heads * width, type, context)

        let target = try context.allocate(tokens * Self.stride * type.byteCount)
        try context.fill(target.pointer, byte: 0x3f, byteCount: target.byteCount)
        let place = RowPlace(first: target.pointer.advanced(by: Self.first * type.byteCount), stride: Self.stride)
        #expect(try pass.backward(inputs, output, dy: given[3].pointer, valueGradient: place).v == nil)
        let columns = Self.first * type.byteCount..<(Self.first + heads * width) * type.byteCount
        for (row, own) in zip(try rows(target, Self.stride, type, context), expected) {
            #expect(Array(row[columns]) == own)
            let others = row[..<columns.lowerBound] + row[columns.upperBound...]
            #expect(others.allSatisfy { $0 == 0x3f })
        }
    }

    /// The bytes of every token's row.
    private func rows(_ memory: DeviceMemory, _ width: Int, _ type: DataType, _ context: CUDAContext) throws -> [[UInt8]] {
        let length = width * type.byteCount
        var bytes = [UInt8](repeating: 0, count: Self.tokens * length)
        try bytes.withUnsafeMutableBytes { try context.copy(memory.pointer, to: $0) }
        return (0..<Self.tokens).map { Array(bytes[$0 * length..<($0 + 1) * length]) }
    }
}
