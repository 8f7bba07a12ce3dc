import BackendInterface
import PowerAttention
import Tensors
import Testing

/// The reference is the oracle of everything else; its gradients are checked against central finite differences of its outputs,
/// and its outputs against the definition written down once more, naively.
@Suite struct ReferenceGradientTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var mechanism: AttentionConfiguration.Mechanism
        var normalization: AttentionConfiguration.Normalization
        var gated = true
        var state = false
        var tile = 1
        var testDescription: String {
            "\(mechanism) \(normalization)\(gated ? " gated" : "")\(state ? " state" : "") tile \(tile)"
        }
    }

    static let cases: [Case] = [
        Case(mechanism: .power(degree: 1), normalization: .none, state: true),
        Case(mechanism: .power(degree: 2), normalization: .none, gated: false, state: true),
        Case(mechanism: .power(degree: 2), normalization: .sum, state: true, tile: 2),
        Case(mechanism: .power(degree: 3), normalization: .none, state: true, tile: 3),
        Case(mechanism: .power(degree: 4), normalization: .none, gated: false),
        Case(mechanism: .power(degree: 4), normalization: .sum, state: true),
        Case(mechanism: .exponential(window: nil), normalization: .sum, gated: false),
        Case(mechanism: .exponential(window: 3), normalization: .sum),
    ]

    /// A packed batch of sequences of 5, 0, 1 and 4 tokens, two query heads a key head, d = 3, e = 2, and a closed gate.
    struct Setting {
        var inputs: AttentionInputs
        let outputGradient: Tensor
        var stateGradient: ExpandedState?
        let attention: AttentionOperator
        static let cuSeqlens = [0, 5, 5, 6, 10]

        init(_ test: Case) throws {
            attention = try AttentionOperator(
                AttentionConfiguration(test.mechanism, normalization: test.normalization, scale: 0.7, tile: test.tile),
                device: .reference)
            var random = RandomGenerator(seed: 7)
            let t = 10
            inputs = AttentionInputs(
                q: random.normal([1, t, 4, 3], .float64), k: random.normal([1, t, 2, 3], .float64),
                v: random.normal([1, t, 2, 2], .float64))
            outputGradient = random.normal([1, t, 4, 2], .float64)
            if test.gated {
                var gates = Tensor([1, t, 2], .float64)
                gates.withMutableElements(of: Double.self) { elements in
                    for index in elements.indices { elements[index] = -random.uniform() }
                    elements[2 * 2 + 1] = -.infinity
                    elements[8 * 2] = -.infinity
                }
                inputs.logG = gates
            }
            if test.state, case .power(let degree) = test.mechanism {
                let dimension = SymmetricPower(degree: degree, width: 3, tile: test.tile).dimension
                inputs.initialState = Self.state(&random, dimension, positive: true)
                inputs.initialState?.exponent = Tensor([4, 2], [0, 1, 0, 0, -1, 0, 2, 0] as [Int32])
                stateGradient = Self.state(&random, dimension, positive: false)
            }
        }

        static func state(_ random: inout RandomGenerator, _ dimension: Int, positive: Bool) -> ExpandedState {
            var z = random.normal([4, 2, dimension], .float64)
            if positive {
                z.withMutableElements(of: Double.self) { elements in
                    for index in elements.indices { elements[index] = abs(elements[index]) }
                }
            }
            return ExpandedState(
                S: random.normal([4, 2, dimension, 2], .float64), z: z, exponent: Tensor([4, 2], .int32))
        }

        /// `Σ y·dy + Σ S·dS + Σ z·dz`, of the final states.
        func loss(_ inputs: AttentionInputs) throws -> Double {
            let result = try attention.forward(
                inputs, cuSeqlens: Self.cuSeqlens, finalState: stateGradient != nil)
            var loss = dot(result.context.output, outputGradient)
            if let state = result.finalState, let stateGradient {
                loss += dot(state.S, stateGradient.S) + dot(state.z, stateGradient.z)
            }
            return loss
        }

        func gradients() throws -> AttentionGradients {
            let context = try attention.forward(inputs, cuSeqlens: Self.cuSeqlens).context
            return try attention.backward(
                inputs, context: context, outputGradient: outputGradient, cuSeqlens: Self.cuSeqlens,
                finalStateGradient: stateGradient)
        }
    }

    @Test(arguments: cases) func finiteDifferences(_ test: Case) throws {
        let setting = try Setting(test)
        let gradients = try setting.gradients()
        let inputs: [(String, WritableKeyPath<AttentionInputs, Tensor?>, Tensor?)] = [
            ("q", \.q.optional, gradients.q), ("k", \.k.optional, gradients.k), ("v", \.v.optional, gradients.v),
            ("log_g", \.logG, gradients.logG),
            ("S", \.initialState.S, gradients.initialState?.S), ("z", \.initialState.z, gradients.initialState?.z),
        ]
        for (name, path, gradient) in inputs {
            guard let value = setting.inputs[keyPath: path] else { continue }
            let analytic = try #require(gradient).array(of: Double.self)
            for index in 0..<value.count {
                let center = value.array(of: Double.self)[index]
                let step = 1e-5 * max(1, abs(center))
                guard center.isFinite else {
                    #expect(analytic[index] == 0, "a closed gate has no gradient")
                    continue
                }
                func shifted(_ difference: Double) throws -> Double {
                    var inputs = setting.inputs
                    var value = value
                    value.withMutableElements(of: Double.self) { $0[index] = center + difference }
                    inputs[keyPath: path] = value
                    return try setting.loss(inputs)
                }
                let numeric = (try shifted(step) - shifted(-step)) / (2 * step)
                let tolerance = 1e-6 * (1 + abs(numeric))
                #expect(abs(numeric - analytic[index]) < tolerance, "\(name)[\(index)]: \(numeric), \(analytic[index])")
            }
        }
    }
}

func dot(_ a: Tensor, _ b: Tensor) -> Double {
    zip(a.converted(to: .float64).array(of: Double.self), b.converted(to: .float64).array(of: Double.self))
        .reduce(0) { $0 + $1.0 * $1.1 }
}

extension Tensor {
    fileprivate var optional: Tensor? {
        get { self }
        set { if let newValue { self = newValue } }
    }
}

extension ExpandedState? {
    fileprivate var S: Tensor? {
        get { self?.S }
        set { if let newValue { self?.S = newValue } }
    }
    fileprivate var z: Tensor? {
        get { self?.z }
        set { if let newValue { self?.z = newValue } }
    }
}
