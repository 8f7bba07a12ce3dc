import BackendInterface
import PowerAttention
import Tensors
import Testing

/// What must hold whatever the numbers are, on every device.
@Suite struct PropertyTests {
    static let functions: [AttentionConfiguration] = [
        AttentionConfiguration(.power(degree: 1), form: .chunked, chunkSize: 16),
        AttentionConfiguration(.power(degree: 2), form: .chunked, chunkSize: 16),
        AttentionConfiguration(.power(degree: 2), normalization: AttentionConfiguration.Normalization.none),
        AttentionConfiguration(.power(degree: 3), form: .chunked, chunkSize: 16),
        AttentionConfiguration(.power(degree: 4), form: .chunked, chunkSize: 32, tile: 4),
        AttentionConfiguration(.exponential(window: nil)),
        AttentionConfiguration(.exponential(window: 9)),
    ]
    static let limit = 2e-5

    @Test(arguments: functions, Device.available)
    func tokensDoNotSeeLaterOnes(_ configuration: AttentionConfiguration, device: Device) throws {
        let attention = try AttentionOperator(configuration, device: device)
        let inputs = RandomInputs(length: 70)
        let whole = try attention.forward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
        for count in [1, 16, 33, 69] {
            let part = inputs[0..<count]
            let y = try attention.forward(q: part.q, k: part.k, v: part.v, logG: part.logG)
            #expect(relativeError(y, whole.tokens(0..<count)) < Self.limit)
        }
    }

    @Test(arguments: functions, Device.available)
    func gatesOfOneChangeNothing(_ configuration: AttentionConfiguration, device: Device) throws {
        let attention = try AttentionOperator(configuration, device: device)
        let inputs = RandomInputs(length: 60, gated: false)
        let ungated = try attention.forward(q: inputs.q, k: inputs.k, v: inputs.v)
        let gated = try attention.forward(q: inputs.q, k: inputs.k, v: inputs.v, logG: Tensor([1, 60, 1], .float32))
        #expect(relativeError(gated, ungated) < Self.limit)
    }

    @Test(arguments: functions, Device.available)
    func packedSequencesAreSeparate(_ configuration: AttentionConfiguration, device: Device) throws {
        let attention = try AttentionOperator(configuration, device: device)
        let offsets = [0, 20, 20, 21, 60]
        let inputs = RandomInputs(length: 60)
        let packed = try attention.forward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, cuSeqlens: offsets)
        let gradients = try attention.backward(
            q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, cuSeqlens: offsets, dy: inputs.dy)
        for (start, end) in zip(offsets, offsets.dropFirst()) {
            let part = inputs[start..<end]
            let y = try attention.forward(q: part.q, k: part.k, v: part.v, logG: part.logG)
            #expect(relativeError(packed.tokens(start..<end), y) < Self.limit)
            let own = try attention.backward(q: part.q, k: part.k, v: part.v, logG: part.logG, dy: part.dy)
            if end - start > 1 {
                #expect(relativeError(gradients.k.tokens(start..<end), own.k) < 5 * Self.limit)
            }
        }
    }

    @Test(arguments: functions.filter { $0.mechanism.degree != nil }, Device.available)
    func scalingQueriesAndKeys(_ configuration: AttentionConfiguration, device: Device) throws {
        let attention = try AttentionOperator(configuration, device: device)
        let inputs = RandomInputs(length: 50)
        let y = try attention.forward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
        let scaled = try attention.forward(q: inputs.q.times(3), k: inputs.k.times(-0.7), v: inputs.v, logG: inputs.logG)
        var factor = 1.0
        if configuration.normalization == .none {
            for _ in 0..<(configuration.mechanism.degree ?? 0) { factor *= -2.1 }
        }
        #expect(relativeError(scaled, y.times(factor)) < Self.limit)
    }

    @Test(arguments: functions.filter { $0.mechanism.degree != nil }, Device.available)
    func chunkSizesGiveTheSameAnswer(_ configuration: AttentionConfiguration, device: Device) throws {
        let inputs = RandomInputs(length: 90)
        var attention = configuration
        attention.form = .attention
        let y = try AttentionOperator(attention, device: device)
            .forward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
        for size in [1, 2, 17, 64, 89, 90, 1000] {
            var chunked = configuration
            chunked.form = .chunked
            chunked.chunkSize = size
            let answer = try AttentionOperator(chunked, device: device)
                .forward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
            #expect(relativeError(answer, y) < Self.limit, "chunks of \(size)")
        }
    }

    /// A sequence cut in two, its state and the state's gradient handed over, is the whole sequence, forward and backward.
    @Test(arguments: functions.filter { $0.mechanism.degree != nil }, Device.available)
    func splittingASequence(_ configuration: AttentionConfiguration, device: Device) throws {
        let attention = try AttentionOperator(configuration, device: device)
        let inputs = RandomInputs(batch: 2, length: 110)
        let cut = 70
        let (first, second) = (inputs[0..<cut], inputs[cut..<110])
        let whole = try attention.forwardWithState(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
        let head = try attention.forwardWithState(q: first.q, k: first.k, v: first.v, logG: first.logG)
        let tail = try attention.forwardWithState(
            q: second.q, k: second.k, v: second.v, logG: second.logG, initialState: head.state)
        #expect(relativeError(Tensor.joined([head.y, tail.y]), whole.y) < Self.limit)
        #expect(tail.state.tokens == [110, 110])
        let (state, expected) = (try #require(tail.state.expanded), try #require(whole.state.expanded))
        #expect(relativeError(state.S, expected.S) < Self.limit)
        #expect(relativeError(state.z, expected.z) < Self.limit)

        let gradients = try attention.backward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, dy: inputs.dy)
        let tailGradients = try attention.backward(
            q: second.q, k: second.k, v: second.v, logG: second.logG, initialState: head.state, dy: second.dy)
        let headGradients = try attention.backward(
            q: first.q, k: first.k, v: first.v, logG: first.logG, dy: first.dy,
            finalStateGradient: tailGradients.initialState)
        for path in [\AttentionOperator.Gradients.q, \.k, \.v] {
            let joined = Tensor.joined([headGradients[keyPath: path], tailGradients[keyPath: path]])
            #expect(relativeError(joined, gradients[keyPath: path]) < 5 * Self.limit)
        }
        let gates = Tensor.joined([try #require(headGradients.logG), try #require(tailGradients.logG)])
        #expect(relativeError(gates, try #require(gradients.logG)) < 10 * Self.limit)
    }

    /// No token, no sequence: empty answers of the right shape.
    @Test(arguments: functions, Device.available)
    func nothing(_ configuration: AttentionConfiguration, device: Device) throws {
        let attention = try AttentionOperator(configuration, device: device)
        for (batch, length) in [(1, 0), (0, 3), (0, 0)] {
            let inputs = RandomInputs(batch: batch, length: length)
            let y = try attention.forward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
            #expect(y.shape == [batch, length, 2, 6])
            let gradients = try attention.backward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, dy: inputs.dy)
            #expect(gradients.k.shape == inputs.k.shape)
        }
    }

    /// NaN and infinity are data: they neither trap nor hang, and stay behind the tokens that hold them.
    @Test(arguments: functions, Device.available)
    func notANumber(_ configuration: AttentionConfiguration, device: Device) throws {
        let attention = try AttentionOperator(configuration, device: device)
        for poison in [Float.nan, .infinity, -.infinity, .greatestFiniteMagnitude] {
            var inputs = RandomInputs(length: 40)
            inputs.q.withMutableElements(of: Float.self) { $0[33 * 16] = poison }
            inputs.k.withMutableElements(of: Float.self) { $0[35 * 8 + 1] = poison }
            inputs.v.withMutableElements(of: Float.self) { $0[37 * 6] = poison }
            let y = try attention.forward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
            _ = try attention.backward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, dy: inputs.dy)
            _ = y
        }
    }

    /// Nothing comes before the first token of a sequence: its gate has no gradient, not even a rounding error.
    @Test(arguments: functions)
    func firstGatesHaveNoGradient(_ configuration: AttentionConfiguration) throws {
        let attention = try AttentionOperator(configuration)
        let inputs = RandomInputs(length: 40)
        let gradients = try attention.backward(
            q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG, cuSeqlens: [0, 1, 1, 18, 40], dy: inputs.dy)
        let gates = try #require(gradients.logG).array(of: Float.self)
        #expect([0, 1, 18].map { gates[$0] } == [0, 0, 0] && gates[2] != 0)
    }
}
