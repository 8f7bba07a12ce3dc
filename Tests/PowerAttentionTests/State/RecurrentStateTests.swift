import BackendInterface
import PowerAttention
import Tensors
import Testing

@Suite struct RecurrentStateTests {
    static let functions: [AttentionConfiguration] = [
        AttentionConfiguration(.power(degree: 1)),
        AttentionConfiguration(.power(degree: 2), tile: 4),
        AttentionConfiguration(.power(degree: 3)),
        AttentionConfiguration(.power(degree: 4)),
        AttentionConfiguration(.exponential(window: nil)),
        AttentionConfiguration(.exponential(window: 7)),
    ]

    private func advance(
        _ attention: AttentionOperator, _ inputs: RandomInputs, steps: [Int], switchOver: Int?
    ) throws -> (y: Tensor, state: DecodingState) {
        var state = try attention.makeState(
            sequences: inputs.q.shape[0], keyHeads: 1, keyWidth: 8, valueWidth: 6, switchOver: switchOver)
        var start = 0
        var parts: [Tensor] = []
        for step in steps {
            let part = inputs[start..<start + step]
            parts.append(try attention.advance(&state, q: part.q, k: part.k, v: part.v, logG: part.logG))
            start += step
        }
        return (Tensor.joined(parts), state)
    }

    /// However the tokens come and whenever they fold, the answers are those of one call.
    @Test(arguments: functions, Device.available)
    func anyStepsAndAnySwitchOver(_ configuration: AttentionConfiguration, device: Device) throws {
        let attention = try AttentionOperator(configuration, device: device)
        for (gated, dataType) in [(true, DataType.float32), (false, .float32), (true, .float64)] {
            let inputs = RandomInputs(batch: 2, length: 100, gated: gated, dataType: dataType)
            let whole = try attention.forward(q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
            let plans: [(steps: [Int], switchOver: Int?)] = [
                ([Int](repeating: 1, count: 100), nil), ([Int](repeating: 1, count: 100), 30), ([100], nil), ([100], 50),
                ([40, 60], 64), ([40] + [Int](repeating: 1, count: 60), 64), ([1, 2, 3, 30, 64], 20),
                ([63, 1, 1, 35], 64), ([0, 50, 0, 50], 60),
            ]
            for plan in plans {
                let (y, state) = try advance(attention, inputs, steps: plan.steps, switchOver: plan.switchOver)
                #expect(relativeError(y, whole) < 2e-5, "steps \(plan.steps), switch-over at \(plan.switchOver ?? 0)")
                if case .recurrent(let state) = state {
                    #expect(state.tokens == [100, 100])
                    if let switchOver = plan.switchOver { #expect(state.isFolded == (switchOver <= 100)) }
                }
            }
        }
    }

    @Test func sizeIsConstantAfterTheSwitchOver() throws {
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        let inputs = RandomInputs(length: 200)
        let (_, state) = try advance(attention, inputs, steps: [Int](repeating: 1, count: 200), switchOver: 50)
        #expect(state.byteCount == 4 * 36 * (6 + 1))
    }

    @Test func aWindowBoundsTheCache() throws {
        let attention = try AttentionOperator(AttentionConfiguration(.exponential(window: 7)))
        let inputs = RandomInputs(length: 200)
        let (_, state) = try advance(attention, inputs, steps: [Int](repeating: 1, count: 200), switchOver: nil)
        guard case .keyValues(let cache) = state else {
            Issue.record("exponential attention keeps keys and values")
            return
        }
        #expect(cache.tokens == 200)
        #expect(cache.count <= 14)
    }

    @Test func copiesAreIndependent() throws {
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        let inputs = RandomInputs(length: 60)
        for switchOver in [10, 1000] {
            var (_, state) = try advance(attention, inputs[0..<40], steps: [40], switchOver: switchOver)
            var copy = state
            let part = inputs[40..<60]
            let first = try attention.advance(&state, q: part.q, k: part.k, v: part.v, logG: part.logG)
            let second = try attention.advance(&copy, q: part.q, k: part.k, v: part.v, logG: part.logG)
            #expect(first.array(of: Float.self) == second.array(of: Float.self))
        }
    }

    /// A state that does not belong to the operator or to the tensors is refused by name, and stays as it is.
    @Test func strangersAreRefused() throws {
        let attention = try AttentionOperator(AttentionConfiguration(.power(degree: 2)))
        var state = try attention.makeRecurrentState(keyHeads: 1, keyWidth: 8, valueWidth: 6)
        let inputs = RandomInputs(length: 3)
        let others: [(String, AttentionConfiguration)] = [
            ("degree", AttentionConfiguration(.power(degree: 3))),
            ("tile", AttentionConfiguration(.power(degree: 2), tile: 2)),
            ("exponential", AttentionConfiguration(.exponential(window: nil))),
        ]
        for (word, configuration) in others {
            let error = #expect(throws: PowerAttentionError.self) {
                try AttentionOperator(configuration)
                    .advance(&state, q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
            }
            #expect(error?.description.contains(word) == true, "\(String(describing: error))")
        }
        for inputs in [
            RandomInputs(batch: 2, length: 3), RandomInputs(length: 3, width: 7), RandomInputs(length: 3, valueWidth: 5),
            RandomInputs(length: 3, keyHeads: 2),
        ] {
            #expect(throws: PowerAttentionError.self) {
                try attention.advance(&state, q: inputs.q, k: inputs.k, v: inputs.v, logG: inputs.logG)
            }
        }
        #expect(state.tokens == [0])
        #expect(throws: PowerAttentionError.self) {
            try attention.makeRecurrentState(keyHeads: 1, keyWidth: 8, valueWidth: 6, switchOver: 0)
        }
    }
}
