import BackendInterface
import CUDABackend
import CUDARuntime
import Foundation
import Tensors
import Testing

/// Gradients among the columns of longer rows are those that tensors of their own have, and the other columns stay. In float32 by the kernels
/// of all cards, in bfloat16 by Hopper's where that is the card.
@Suite(.enabled(if: (try? CUDABackend.shared()) != nil)) struct PlacedGradientTests {
    private static let (tokens, heads, width, stride) = (200, 2, 32, 160)

    /// A pass forward, and what its backward pass is given.
    private struct Call {
        let context: CUDAContext
        let pass: AttentionPass
        let inputs: PassInputs
        let output: PassOutput
        let dy: DevicePointer
        private let memory: [DeviceMemory]

        init(_ type: DataType) throws {
            let (tokens, heads, width) = (PlacedGradientTests.tokens, PlacedGradientTests.heads, PlacedGradientTests.width)
            let context = try CUDABackend.shared().context
            let problem = AttentionProblem(
                mechanism: .power(degree: 2), normalization: .sum, form: .chunked, scale: 0.25, chunkSize: 128, tile: 1,
                sequences: [0..<tokens], tokenCount: tokens, queryHeads: heads, keyHeads: heads, keyWidth: width,
                valueWidth: width)
            pass = try AttentionPass(context, problem, dataType: type, isGated: false)
            var random = RandomGenerator(seed: 8)
            let given = try (0..<4).map { _ in
                try context.upload(random.normal([1, tokens, heads, width]).converted(to: type))
            }
            self.context = context
            inputs = PassInputs(q: given[0].pointer, k: given[1].pointer, v: given[2].pointer, logG: nil)
            output = try pass.forward(inputs)
            dy = given[3].pointer
            memory = given
        }

        /// Rows for the gradients, whose bytes all are 0x3f.
        func target(_ type: DataType) throws -> DeviceMemory {
            let target = try context.allocate(PlacedGradientTests.tokens * PlacedGradientTests.stride * type.byteCount)
            try context.fill(target.pointer, byte: 0x3f, byteCount: target.byteCount)
            return target
        }

        /// The rows of all tokens.
        func rows(_ memory: DeviceMemory, _ width: Int, _ type: DataType) throws -> [[Float]] {
            var bytes = [UInt8](repeating: 0, count: PlacedGradientTests.tokens * width * type.byteCount)
            try bytes.withUnsafeMutableBytes { try context.copy(memory.pointer, to: $0) }
            let numbers = bytes.withUnsafeBytes { bytes in
                type == .float32
                    ? Array(bytes.bindMemory(to: Float.self))
                    : bytes.bindMemory(to: UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }
            }
            return (0..<PlacedGradientTests.tokens).map { Array(numbers[$0 * width..<($0 + 1) * width]) }
        }
    }

    @Test(arguments: [DataType.float32, .bfloat16]) func valuesStandInTheirColumns(type: DataType) throws {
        let (call, width, first) = (try Call(type), Self.heads * Self.width, 16)
        let own = try #require(call.pass.backward(call.inputs, call.output, dy: call.dy).v)
        let target = try call.target(type)
        let place = RowPlace(first: target.pointer.advanced(by: first * type.byteCount), stride: Self.stride)
        #expect(try call.pass.backward(call.inputs, call.output, dy: call.dy, valueGradient: place).v == nil)
        for (row, own) in zip(try call.rows(target, Self.stride, type), try call.rows(own, width, type)) {
            #expect(Array(row[first..<first + width]) == own)
            #expect(Set(row[..<first] + row[(first + width)...]).count == 1)
        }
    }

    /// Those of queries and keys are rounded once, after they were turned back; tensors of their own are rounded before, which is another
    /// 2⁻⁹ of every number. Kernels of other cards leave them in such tensors.
    @Test(arguments: [DataType.float32, .bfloat16]) func queriesAndKeysAreTurnedBack(type: DataType) throws {
        let (call, width, length) = (try Call(type), Self.heads * Self.width, 50)
        let own = try call.pass.backward(call.inputs, call.output, dy: call.dy)
        let angles = (0..<length * Self.width / 2).map { Float($0) }
        func upload(_ numbers: [Float]) throws -> DeviceMemory { try call.context.upload(Tensor([numbers.count], numbers)) }
        let (cosines, sines) = (try upload(angles.map { cos($0) }), try upload(angles.map { sin($0) }))
        let target = try call.target(type)
        let firsts = [8, 80]
        let places = firsts.map { RowPlace(first: target.pointer.advanced(by: $0 * type.byteCount), stride: Self.stride) }
        let result = try call.pass.backward(
            call.inputs, call.output, dy: call.dy,
            turned: TurnedPlaces(
                queries: places[0], keys: places[1], cosines: cosines.pointer, sines: sines.pointer, length: length))
        let isHopper = type == .bfloat16 && call.context.properties.architecture.hasPrefix("sm_90")
        #expect(call.pass.turnsGradients == isHopper && (result.q == nil) == isHopper && (result.k == nil) == isHopper)
        let rows = try call.rows(target, Self.stride, type)
        guard isHopper else { return #expect(rows.allSatisfy { Set($0).count == 1 }) }
        for (first, memory) in zip(firsts, [own.q, own.k]) {
            let before = try call.rows(#require(memory), width, type)
            let expected = before.enumerated().flatMap { token, row in
                Self.turnBack(row, angles[token % length * Self.width / 2..<(token % length + 1) * Self.width / 2])
            }
            let numbers = rows.flatMap { $0[first..<first + width] }.map(Double.init)
            #expect(relativeError(numbers, expected) < 0x1p-8)
        }
        #expect(rows.allSatisfy { Set($0[..<8] + $0[(8 + width)..<80] + $0[(80 + width)...]).count == 1 })
    }

    /// All heads of a row.
    private static func turnBack(_ row: [Float], _ angles: ArraySlice<Float>) -> [Double] {
        var result = row.map(Double.init)
        for head in 0..<heads {
            for (i, angle) in angles.enumerated() {
                let (a, b, angle) = (head * width + i, head * width + i + width / 2, Double(angle))
                (result[a], result[b]) = (
                    result[a] * cos(angle) + result[b] * sin(angle), result[b] * cos(angle) - result[a] * sin(angle)
                )
            }
        }
        return result
    }
}
