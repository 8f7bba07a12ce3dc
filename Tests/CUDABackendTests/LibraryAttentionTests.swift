import BackendInterface
import CUDABackend
import CUDARuntime
import Tensors
import Testing

/// Which problems go to cuDNN, and how their tensors are described to it.
@Suite struct LibraryAttentionTests {
    /// Two sequences of 200 tokens, 4 query heads over 2 key heads.
    static func problem(_ change: (inout AttentionProblem) -> Void = { _ in }) -> AttentionProblem {
        var problem = AttentionProblem(
            mechanism: .exponential(window: nil), normalization: .sum, form: .attention, scale: 0.125, chunkSize: 200, tile: 1,
            sequences: [0..<200, 200..<400], tokenCount: 400, queryHeads: 4, keyHeads: 2, keyWidth: 64, valueWidth: 32)
        change(&problem)
        return problem
    }

    @Test func wholeSequencesAreServed() throws {
        let shape = try #require(LibraryAttentionShape(Self.problem(), dataType: .bfloat16, isGated: false))
        #expect(shape.queries == TensorLayout([2, 4, 200, 64], strides: [200 * 256, 64, 256, 1]))
        #expect(shape.keys == TensorLayout([2, 2, 200, 64], strides: [200 * 128, 64, 128, 1]))
        #expect(shape.keys.transposed == TensorLayout([2, 2, 64, 200], strides: [200 * 128, 64, 1, 128]))
        #expect(shape.values == TensorLayout([2, 2, 200, 32], strides: [200 * 64, 32, 64, 1]))
        #expect(shape.outputs == TensorLayout([2, 4, 200, 32], strides: [200 * 128, 32, 128, 1]))
        #expect(shape.statistics == TensorLayout([2, 4, 200, 1], strides: [800, 200, 1, 1]))
        for width in [8, 128, 256] {
            #expect(LibraryAttentionShape(Self.problem { $0.keyWidth = width }, dataType: .bfloat16, isGated: false) != nil)
        }
    }

    @Test func theRestIsNot() {
        #expect(LibraryAttentionShape(Self.problem(), dataType: .bfloat16, isGated: true) == nil)
        for type in [DataType.float32, .float16] {
            #expect(LibraryAttentionShape(Self.problem(), dataType: type, isGated: false) == nil)
        }
        let others = [
            Self.problem { $0.mechanism = .power(degree: 2) },
            Self.problem { $0.mechanism = .exponential(window: 100) },
            Self.problem { $0.normalization = .none },
            Self.problem { $0.sequences = [0..<150, 150..<400] },
            Self.problem { $0.sequences = [0..<200, 201..<400] },
            Self.problem { $0.sequences = [0..<200] },
            Self.problem { $0.sequences = [] },
            Self.problem { ($0.sequences, $0.tokenCount) = ([0..<127], 127) },
            Self.problem { $0.keyWidth = 20 },
            Self.problem { $0.valueWidth = 264 },
        ]
        for problem in others {
            #expect(LibraryAttentionShape(problem, dataType: .bfloat16, isGated: false) == nil, "\(problem)")
        }
    }

    @Test func theEnvironmentChooses() throws {
        #expect(try LibraryChoice(environment: [:]) == .auto)
        #expect(try LibraryChoice(environment: ["POWER_CUDNN": "off"]) == .off)
        #expect(try LibraryChoice(environment: ["POWER_CUDNN": "require"]) == .require)
        let error = #expect(throws: PowerAttentionError.self) { try LibraryChoice(environment: ["POWER_CUDNN": "no"]) }
        #expect(error?.description == "POWER_CUDNN: no given, expected auto, off, require")
    }

    /// Without the library the kernels of this package run.
    @Test(.enabled(if: (try? CUDABackend.shared()) != nil && (try? CUDNN.system()) == nil))
    func aMissingLibraryIsNoError() throws {
        let backend = try CUDABackend.shared()
        func tensor(_ heads: Int, _ width: Int) -> Tensor { Tensor([2, 200, heads, width], .bfloat16) }
        let inputs = AttentionInputs(q: tensor(4, 64), k: tensor(2, 64), v: tensor(2, 32))
        #expect(try backend.isReproducible(Self.problem(), inputs))
        let kernels = try backend.kernels(Self.problem(), inputs, movesState: false)
        #expect(kernels.contains { $0.function == "attention_forward" })
    }
}
