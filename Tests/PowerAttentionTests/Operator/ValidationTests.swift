import BackendInterface
import PowerAttention
import Tensors
import Testing

/// Whatever a caller can get wrong is an error that names it.
@Suite struct ValidationTests {
    private static func tensor(_ shape: Int..., type: DataType = .float32) -> Tensor { Tensor(shape, type) }

    @Test(arguments: [
        ("degree", AttentionConfiguration(.power(degree: 0))),
        ("degree", AttentionConfiguration(.power(degree: -1))),
        ("degree", AttentionConfiguration(.power(degree: 5))),
        ("degree", AttentionConfiguration(.power(degree: .max))),
        ("normalization", AttentionConfiguration(.power(degree: 1), normalization: .sum)),
        ("normalization", AttentionConfiguration(.power(degree: 3), normalization: .sum)),
        (
            "normalization",
            AttentionConfiguration(.exponential(window: nil), normalization: AttentionConfiguration.Normalization.none)
        ),
        ("scale", AttentionConfiguration(.power(degree: 2), scale: .nan)),
        ("scale", AttentionConfiguration(.power(degree: 2), scale: 0)),
        ("scale", AttentionConfiguration(.power(degree: 2), scale: -1)),
        ("scale", AttentionConfiguration(.power(degree: 2), scale: .infinity)),
        ("chunk size", AttentionConfiguration(.power(degree: 2), chunkSize: 0)),
        ("chunk size", AttentionConfiguration(.power(degree: 2), chunkSize: .min)),
        ("tile", AttentionConfiguration(.power(degree: 2), tile: 0)),
        ("window", AttentionConfiguration(.exponential(window: 0))),
        ("window", AttentionConfiguration(.exponential(window: -5))),
        ("form", AttentionConfiguration(.exponential(window: nil), form: .chunked)),
        ("form", AttentionConfiguration(.exponential(window: nil), form: .recurrent)),
    ])
    func configurations(argument: String, configuration: AttentionConfiguration) {
        let error = #expect(throws: PowerAttentionError.self) { try AttentionOperator(configuration) }
        #expect(error?.argument == argument)
        #expect(error?.code == .invalidArgument)
    }

    /// `q [2, 5, 4, 8]`, `k [2, 5, 2, 8]`, `v [2, 5, 2, 6]` with one thing wrong.
    static let calls: [(String, @Sendable (inout AttentionInputs) -> Void)] = [
        ("q", { $0.q = tensor(5, 4, 8) }),
        ("q", { $0.q = tensor(2, 5, 4, 8, 1) }),
        ("q", { $0.q = tensor() }),
        ("q", { $0.q = tensor(2, 5, 3, 8) }),
        ("q", { $0.q = tensor(2, 5, 0, 8) }),
        ("q", { $0.q = tensor(2, 5, 4, 8, type: .int32) }),
        (
            "q",
            {
                $0.q = tensor(2, 5, 4, 0)
                $0.k = tensor(2, 5, 2, 0)
            }
        ),
        (
            "q",
            {
                $0.q = tensor(2, 5, 4, 257)
                $0.k = tensor(2, 5, 2, 257)
            }
        ),
        ("k", { $0.k = tensor(2, 5, 2, 7) }),
        ("k", { $0.k = tensor(2, 6, 2, 8) }),
        ("k", { $0.k = tensor(1, 5, 2, 8) }),
        ("k", { $0.k = tensor(2, 5, 2, 8, type: .float16) }),
        ("k", { $0.k = tensor(2, 5, 0, 8) }),
        ("v", { $0.v = tensor(2, 5, 4, 6) }),
        ("v", { $0.v = tensor(2, 4, 2, 6) }),
        ("v", { $0.v = tensor(2, 5, 2, 0) }),
        ("v", { $0.v = tensor(2, 5, 2, 300) }),
        ("v", { $0.v = tensor(2, 5, 2) }),
        ("v", { $0.v = tensor(2, 5, 2, 6, type: .bfloat16) }),
        ("log_g", { $0.logG = tensor(2, 5, 4) }),
        ("log_g", { $0.logG = tensor(2, 5, 2, 1) }),
        ("log_g", { $0.logG = tensor(2, 5, 2, type: .float16) }),
        ("log_g", { $0.logG = tensor(2, 5, 2, type: .float64) }),
        ("log_g", { $0.logG = Tensor([2, 5, 2], [Float](repeating: 0.01, count: 20)) }),
        ("log_g", { $0.logG = Tensor([2, 5, 2], [Float](repeating: .nan, count: 20)) }),
    ]

    @Test(arguments: calls.indices) func tensors(index: Int) throws {
        let (argument, change) = Self.calls[index]
        var inputs = AttentionInputs(q: Self.tensor(2, 5, 4, 8), k: Self.tensor(2, 5, 2, 8), v: Self.tensor(2, 5, 2, 6))
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        _ = try attention.forward(inputs)
        change(&inputs)
        let error = #expect(throws: PowerAttentionError.self) { try attention.forward(inputs) }
        #expect(error?.argument == argument, "\(String(describing: error))")
    }

    @Test(arguments: [
        [], [0], [5], [0, 4], [1, 5], [0, 3, 2, 5], [0, 6, 5], [0, 6], [-1, 5], [0, Int.max, 5], [0, Int.min, 5],
    ])
    func sequences(_ offsets: [Int]) throws {
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        let (q, k) = (Self.tensor(1, 5, 4, 8), Self.tensor(1, 5, 2, 8))
        let error = #expect(throws: PowerAttentionError.self) {
            try attention.forward(q: q, k: k, v: k, cuSeqlens: offsets)
        }
        #expect(error?.argument == "cu_seqlens")
        let batch = Self.tensor(2, 5, 2, 8)
        #expect(throws: PowerAttentionError.self) { try attention.forward(q: batch, k: batch, v: batch, cuSeqlens: [0, 5]) }
    }

    @Test func tilesWiderThanKeys() throws {
        let q = Self.tensor(1, 5, 2, 8)
        for tile in [9, 1000, .max] {
            let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2), tile: tile))
            let error = #expect(throws: PowerAttentionError.self) { try attention.forward(q: q, k: q, v: q) }
            #expect(error?.argument == "tile")
        }
    }

    /// Shapes without elements take no bytes in a file, whatever else they claim.
    @Test(arguments: [
        ("q", [1 << 33, 0, 1, 1]), ("q", [1 << 58, 0, 1, 1]), ("q", [0, 1 << 60, 1, 1]), ("q", [0, 1, 1 << 60, 1]),
        ("q", [1, 0, 1 << 50, 4]), ("k", [1 << 20, 0, 1 << 12, 1]),
    ])
    func emptyTensorsOfAnyShape(argument: String, shape: [Int]) throws {
        let q = Tensor(shape, .float32)
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        let error = #expect(throws: PowerAttentionError.self) { try attention.forward(q: q, k: q, v: q) }
        #expect(error?.argument == argument)
    }

    @Test(arguments: [AttentionConfiguration.Form.automatic, .attention, .chunked, .recurrent])
    func chunksLongerThanAnySequence(form: AttentionConfiguration.Form) throws {
        let inputs = RandomInputs(length: 40)
        func call(_ chunkSize: Int) throws -> (Tensor, Tensor) {
            let attention = try AttentionOperator(
                AttentionConfiguration(.power(degree: 2), form: form, chunkSize: chunkSize))
            let (q, k, v) = (inputs.q, inputs.k, inputs.v)
            return (
                try attention.forward(q: q, k: k, v: v, logG: inputs.logG),
                try attention.backward(q: q, k: k, v: v, logG: inputs.logG, dy: inputs.dy).k
            )
        }
        let (given, expected) = (try call(.max), try call(40))
        #expect(given.0.array(of: Float.self) == expected.0.array(of: Float.self))
        #expect(given.1.array(of: Float.self) == expected.1.array(of: Float.self))
    }

    @Test func outputGradients() throws {
        let q = Self.tensor(1, 5, 2, 8)
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        for dy in [Self.tensor(1, 5, 2, 7), Self.tensor(5, 2, 8), Self.tensor(1, 5, 2, 8, type: .float16)] {
            let error = #expect(throws: PowerAttentionError.self) { try attention.backward(q: q, k: q, v: q, dy: dy) }
            #expect(error?.argument == "dy")
        }
    }

    static let states: [(String, @Sendable (inout ExpandedState) -> Void)] = [
        ("initial state.S", { $0.S = tensor(2, 2, 35, 6) }),
        ("initial state.S", { $0.S = tensor(1, 2, 36, 6) }),
        ("initial state.S", { $0.S = tensor(2, 2, 36, 7) }),
        ("initial state.S", { $0.S = tensor(2, 2, 36, 6, type: .bfloat16) }),
        ("initial state.S", { $0.S = tensor(2, 2, 36, 6, type: .float64) }),
        ("initial state.z", { $0.z = tensor(2, 2, 36, 1) }),
        ("initial state.z", { $0.z = tensor(2, 2, 36, type: .float16) }),
        ("initial state.exponent", { $0.exponent = tensor(2, 2) }),
        ("initial state.exponent", { $0.exponent = tensor(4, type: .int32) }),
        ("initial state.exponent", { $0.exponent = Tensor([2, 2], [0, 0, 0, Int32.min]) }),
        ("initial state.exponent", { $0.exponent = Tensor([2, 2], [0, 0, 0, Int32.max]) }),
    ]

    @Test(arguments: states.indices) func initialStates(index: Int) throws {
        let (argument, change) = Self.states[index]
        var inputs = AttentionInputs(q: Self.tensor(2, 5, 4, 8), k: Self.tensor(2, 5, 2, 8), v: Self.tensor(2, 5, 2, 6))
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        var state = ExpandedState(zeros: 2, keyHeads: 2, dimension: 36, valueWidth: 6)
        inputs.initialState = state
        _ = try attention.forward(inputs)
        change(&state)
        inputs.initialState = state
        let error = #expect(throws: PowerAttentionError.self) { try attention.forward(inputs) }
        #expect(error?.argument == argument)
    }

    @Test func exponentialHasNoState() throws {
        let q = Self.tensor(1, 5, 2, 8)
        let attention = try AttentionOperator(AttentionConfiguration(.exponential(window: nil)))
        #expect(throws: PowerAttentionError.self) { try attention.forwardWithState(q: q, k: q, v: q) }
        #expect(throws: PowerAttentionError.self) { try attention.makeRecurrentState(keyHeads: 1, keyWidth: 8, valueWidth: 8) }
    }

    /// p = 4 at d = 256 would have 183,181,376 features: attention is chosen, and any other form is refused with the size.
    @Test func statesThatDoNotFit() throws {
        let q = Self.tensor(1, 3, 1, 256)
        let automatic = try AttentionOperator(AttentionConfiguration(.power(degree: 4)))
        _ = try automatic.forward(q: q, k: q, v: q)
        #expect(try automatic.cost(of: AttentionShape(length: 100_000, heads: 1, width: 256)).form == .attention)
        for form in [AttentionConfiguration.Form.chunked, .recurrent] {
            let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 4), form: form))
            let error = #expect(throws: PowerAttentionError.self) { try attention.forward(q: q, k: q, v: q) }
            #expect(error?.code == .unsupported)
            #expect(error?.description.contains("188.3 GB") == true, "\(String(describing: error))")
        }
        #expect(throws: PowerAttentionError.self) { try automatic.forwardWithState(q: q, k: q, v: q) }
        var state = try automatic.makeRecurrentState(keyHeads: 1, keyWidth: 256, valueWidth: 256)
        #expect(state.switchOver == .max)
        #expect(try automatic.advance(&state, q: q, k: q, v: q).shape == [1, 3, 1, 256])
        #expect(throws: PowerAttentionError.self) {
            try automatic.makeRecurrentState(keyHeads: 1, keyWidth: 256, valueWidth: 256, switchOver: 100)
        }
    }
}
