import BackendInterface
import Foundation
import Tensors

/// The tensors of one check: what goes in, and the gradients of what comes out.
struct VerificationInputs: Sendable {
    var inputs: AttentionInputs
    var outputGradient: Tensor
    var finalStateGradient: ExpandedState?
}

extension VerificationProblem {
    /// Random inputs, the same every time, already rounded to the problem's type.
    func makeInputs() throws(PowerAttentionError) -> VerificationInputs {
        var random = RandomGenerator(seed: 0x5EED)
        let (b, t) = (shape.batch, shape.length)
        var inputs = AttentionInputs(
            q: numbers.queries(&random, [b, t, shape.queryHeads, shape.keyWidth]).converted(to: dataType),
            k: numbers.keys(&random, [b, t, shape.keyHeads, shape.keyWidth]).converted(to: dataType),
            v: numbers.values(&random, [b, t, shape.keyHeads, shape.valueWidth]).converted(to: dataType),
            logG: gates.values(&random, [b, t, shape.keyHeads]))
        if numbers == .orthogonal { inputs.q = nearlyOrthogonal(inputs.q, to: inputs.k).converted(to: dataType) }
        let outputGradient = random.normal([b, t, shape.queryHeads, shape.valueWidth], .float64).converted(to: dataType)
        var finalStateGradient: ExpandedState?
        if states, case .power(let degree) = mechanism {
            let expansion = SymmetricPower(degree: degree, width: shape.keyWidth, tile: tile)
            inputs.initialState = try makeState(&random, degree: degree)
            finalStateGradient = ExpandedState(
                S: random.normal([sequenceCount, shape.keyHeads, expansion.dimension, shape.valueWidth]),
                z: random.normal([sequenceCount, shape.keyHeads, expansion.dimension]), exponent: stateExponents)
        }
        return VerificationInputs(
            inputs: inputs, outputGradient: outputGradient, finalStateGradient: finalStateGradient)
    }

    /// `q` with all but a small part of its component along its own key taken away, every tenth token.
    private func nearlyOrthogonal(_ q: Tensor, to k: Tensor) -> Tensor {
        let (d, group) = (shape.keyWidth, shape.queryHeads / shape.keyHeads)
        let keys = k.converted(to: .float64).array(of: Double.self)
        var result = q.converted(to: .float64)
        result.withMutableElements(of: Double.self) { queries in
            for row in 0..<queries.count / d where (row / shape.queryHeads).isMultiple(of: 10) {
                let (query, key) = (row * d, row / group * d)
                var (product, square) = (0.0, 0.0)
                for n in 0..<d {
                    product += queries[query + n] * keys[key + n]
                    square += keys[key + n] * keys[key + n]
                }
                for n in 0..<d { queries[query + n] -= (product / square - 1e-5) * keys[key + n] }
            }
        }
        return result
    }

    /// The state after some tokens, stored with the exponent that suits the problem's numbers. After a few tokens only, a query
    /// can be nearly orthogonal to all of them: then the state's share of its sum cancels, in float32, whatever the backend.
    private func makeState(_ random: inout RandomGenerator, degree: Int) throws(PowerAttentionError) -> ExpandedState {
        let shape = [sequenceCount, 64, self.shape.keyHeads]
        let q = random.normal(shape + [self.shape.keyWidth], .float64)
        let k = random.normal(shape + [self.shape.keyWidth], .float64)
        let v = random.normal(shape + [self.shape.valueWidth], .float64)
        let result = try AttentionOperator(configuration(), device: .reference)
            .forward(AttentionInputs(q: q, k: k, v: v), finalState: true)
        guard let state = result.finalState else { preconditionFailure("asked for a state") }
        return ExpandedState(
            S: state.S.converted(to: .float32), z: state.z.converted(to: .float32), exponent: stateExponents)
    }

    /// The exponents that suit a state of keys as large as these.
    private var stateExponents: Tensor {
        var exponent = Int32(0)
        if case .normal(let magnitude) = numbers, magnitude > 0 { exponent = Int32(log2(magnitude).rounded()) }
        return Tensor(
            [sequenceCount, shape.keyHeads], [Int32](repeating: exponent, count: sequenceCount * shape.keyHeads))
    }
}

extension VerificationProblem.Numbers {
    fileprivate func queries(_ random: inout RandomGenerator, _ shape: [Int]) -> Tensor {
        keysOrQueries(&random, shape, zero: self == .zeroQueries, everyZero: self == .someZeros ? 3 : nil)
    }

    fileprivate func keys(_ random: inout RandomGenerator, _ shape: [Int]) -> Tensor {
        keysOrQueries(&random, shape, zero: self == .zeroKeys, everyZero: self == .someZeros ? 2 : nil)
    }

    fileprivate func values(_ random: inout RandomGenerator, _ shape: [Int]) -> Tensor {
        self == .zeroValues ? Tensor(shape, .float64) : random.normal(shape, .float64)
    }

    private func keysOrQueries(_ random: inout RandomGenerator, _ shape: [Int], zero: Bool, everyZero: Int?) -> Tensor {
        var result = random.normal(shape, .float64)
        let row = max(shape[2] * shape[3], 1)
        result.withMutableElements(of: Double.self) { elements in
            for token in 0..<elements.count / row {
                var (factor, offset) = (1.0, 0.0)
                if case .normal(let magnitude) = self { factor = magnitude }
                if case .aligned = self { (factor, offset) = (0.5, 2) }
                if case .uneven(let spread) = self { factor = pow(10, spread * (2 * random.uniform() - 1)) }
                if zero || everyZero.map({ token.isMultiple(of: $0) }) == true { factor = 0 }
                for index in token * row..<(token + 1) * row { elements[index] = (elements[index] + offset) * factor }
            }
        }
        return result
    }
}

extension VerificationProblem.Gates {
    fileprivate func values(_ random: inout RandomGenerator, _ shape: [Int]) -> Tensor? {
        guard self != .none else { return nil }
        var result = Tensor(shape, .float32)
        guard self != .one else { return result }
        result.withMutableElements(of: Float.self) { elements in
            for index in elements.indices {
                elements[index] = self == .steep ? -8 : Float(log(1 - 0.4 * random.uniform()))
                guard self == .closing else { continue }
                if index % 5 == 3 { elements[index] = -40 }
                if index % 9 == 4 { elements[index] = -.infinity }
            }
        }
        return result
    }
}
