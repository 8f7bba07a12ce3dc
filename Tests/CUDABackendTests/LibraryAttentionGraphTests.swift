import BackendInterface
import CUDABackend
import CUDARuntime
import Tensors
import Testing

/// The graphs that cuDNN is given, as it is told of them.
@Suite struct LibraryAttentionGraphTests {
    private let recorder = RecordingCUDNN()
    private let shape: LibraryAttentionShape

    init() throws {
        shape = try #require(
            LibraryAttentionShape(LibraryAttentionTests.problem(), dataType: .bfloat16, isGated: false))
    }

    /// Operations of the kinds of `cudnnBackendDescriptorType_t`: pointwise, products, reductions, reshapes.
    private var operations: [Int] { [13, 19, 22, 31].map { kind in recorder.descriptors.count { $0.kind == kind } } }

    /// The tensors that a call has to bring, by their identifiers: extents, strides and type.
    private var tensors: [Int: (layout: TensorLayout, type: Int)] {
        let tensors = recorder.descriptors.filter { $0.kind == 17 && $0.attributes[907] == nil }.map(\.attributes)
        return Dictionary(
            tensors.map { ($0[906]![0], (TensorLayout($0[902]!, strides: $0[903]!), $0[901]![0])) }, uniquingKeysWith: { $1 })
    }

    @Test func forward() throws {
        let graph = OperationGraph(recorder.table)
        try LibraryAttentionGraphs(shape).forward(graph)
        #expect(operations == [10, 2, 2, 0])
        #expect(recorder.descriptors.allSatisfy { $0.isFinal })
        let expected: [(LibraryAttentionGraphs.Tensor, TensorLayout, Int)] = [
            (.q, shape.queries, 9), (.k, shape.keys.transposed, 9), (.v, shape.values, 9), (.y, shape.outputs, 9),
            (.statistics, shape.statistics, 0), (.scale, TensorLayout(packed: [1, 1, 1, 1]), 0),
            (.minusInfinity, TensorLayout(packed: [1, 1, 1, 1]), 0),
        ]
        #expect(tensors.count == expected.count)
        for (tensor, layout, type) in expected {
            #expect(tensors[tensor.rawValue]?.layout == layout && tensors[tensor.rawValue]?.type == type, "\(tensor)")
        }
    }

    @Test func backward() throws {
        let graph = OperationGraph(recorder.table)
        try LibraryAttentionGraphs(shape).backward(graph)
        // Two of the reductions sum over the query heads that read one key head.
        #expect(operations == [13, 5, 3, 3])
        #expect(recorder.descriptors.allSatisfy { $0.isFinal })
        #expect(tensors.count == 14)
        #expect(tensors[LibraryAttentionGraphs.Tensor.v.rawValue]?.layout == shape.values.transposed)
        #expect(tensors[LibraryAttentionGraphs.Tensor.dk.rawValue]?.layout == shape.keys)
        #expect(tensors[LibraryAttentionGraphs.Tensor.queryGradients.rawValue]?.type == 0)
    }

    @Test func headsOfTheirOwnAreNotSummed() throws {
        let problem = LibraryAttentionTests.problem { $0.keyHeads = 4 }
        let shape = try #require(LibraryAttentionShape(problem, dataType: .bfloat16, isGated: false))
        try LibraryAttentionGraphs(shape).backward(OperationGraph(recorder.table))
        #expect(operations == [13, 5, 1, 3])
    }

    @Test func aRefusalHasTheLibrarysWords() throws {
        recorder.refuse(22)
        let error = #expect(throws: PowerAttentionError.self) {
            try LibraryAttentionGraphs(shape).forward(OperationGraph(recorder.table))
        }
        #expect(error?.code == .device && error?.argument == "cudnnBackendFinalize of reductionOperation")
        #expect(error?.given == "status 3000, no such thing")
        #expect(recorder.destroyed == recorder.descriptors.count)
    }
}
