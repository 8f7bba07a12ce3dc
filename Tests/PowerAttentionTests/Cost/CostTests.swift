import BackendInterface
import PowerAttention
import Tensors
import Testing

@Suite struct CostTests {
    /// Table 2 of the paper, the rows of exponential attention: a GPT-2 of 124M parameters, 85M of them besides embeddings.
    @Test(arguments: [(1024, "8:1"), (8192, "1:1"), (65536, "1:8")])
    func weightStateRatiosOfThePaper(context: Int, ratio: String) throws {
        let cost = try ModelCost(
            weights: 12 * 12 * 768 * 768, layers: 12, attention: AttentionConfiguration(.exponential(window: nil)),
            context: AttentionShape(length: context, heads: 12, width: 64))
        #expect(cost.ratioDescription == ratio)
    }

    /// The ratio of power attention does not depend on the context, once it is long.
    @Test func powerAttentionIsBalancedAtAnyContext() throws {
        let ratios = try [16384, 65536, 1 << 20].map { context in
            try ModelCost(
                weights: 12 * 12 * 768 * 768, layers: 12, attention: AttentionConfiguration(.power(degree: 2)),
                context: AttentionShape(length: context, heads: 12, width: 64)
            ).ratio
        }
        #expect(ratios.allSatisfy { $0 > 1 && $0 < 2 })
        #expect(abs(ratios[2] / ratios[0] - 1) < 0.1)
    }

    /// Counted by hand: 3 tokens, d = 2, e = 3, two query heads on one key head, p = 2, so D = 3.
    @Test(
        arguments: [
            (AttentionConfiguration.Form.attention, nil, 120, 0), (.recurrent, nil, 60, 144), (.chunked, 2, 80, 96),
        ] as [(AttentionConfiguration.Form, Int?, Double, Double)])
    func smallCase(form: AttentionConfiguration.Form, chunkSize: Int?, pairs: Double, expanded: Double) throws {
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2), form: form, chunkSize: chunkSize))
        let cost = try attention.cost(of: AttentionShape(length: 3, heads: 2, keyHeads: 1, width: 2, valueWidth: 3))
        #expect(cost.pairFLOPs == pairs)
        #expect(cost.expandedFLOPs == expanded)
        #expect(cost.stateBytes == (form == .attention ? 4 * 3 * 5 : 4 * 3 * 4))
    }

    @Test func windows() throws {
        let attention = try AttentionOperator(AttentionConfiguration(.exponential(window: 3)))
        let cost = try attention.cost(of: AttentionShape(length: 10, heads: 1, width: 8))
        #expect(cost.pairFLOPs == (1 + 2 + 8 * 3) * 2 * 16)
    }

    /// The automatic form is attention for short sequences, chunks for long ones, and one token is a step of the recurrence.
    @Test func automaticForm() throws {
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        func form(_ length: Int) throws -> AttentionConfiguration.Form {
            try attention.cost(of: AttentionShape(length: length, heads: 4, width: 64)).form
        }
        #expect(try form(1) == .recurrent)
        #expect(try form(1000) == .attention)
        #expect(try form(8192) == .chunked)
        #expect(try attention.describeForm(of: AttentionShape(length: 8192, heads: 4, width: 64)).hasPrefix("chunked"))
    }

    @Test func illegalShapes() throws {
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        for shape in [
            AttentionShape(length: -1, heads: 1, width: 8), AttentionShape(length: 5, heads: 0, width: 8),
            AttentionShape(length: 5, heads: 3, keyHeads: 2, width: 8), AttentionShape(length: 5, heads: 1, width: 257),
            AttentionShape(batch: -3, length: 5, heads: 1, width: 8), AttentionShape(length: 5, heads: 1, width: 0),
        ] {
            #expect(throws: PowerAttentionError.self) { try attention.cost(of: shape) }
        }
    }

    /// The dimensions of φ.
    @Test(arguments: [
        (32, 2, [528, 576, 640, 768, 1024]), (64, 2, [2080, 2176, 2304, 2560, 4096]),
        (128, 2, [8256, 8448, 8704, 9216, 16384]), (32, 3, [5984, 7680, 10240, 16384, 32768]),
        (64, 3, [45760, 52224, 61440, 81920, 262144]), (16, 4, [3876, 8960, 20480, 65536, 65536]),
    ])
    func dimensions(width: Int, degree: Int, dimensions: [Int]) {
        for (tile, dimension) in zip([1, 4, 8, 16, width], dimensions) {
            #expect(SymmetricPower(degree: degree, width: width, tile: tile).dimension == dimension)
        }
    }
}
