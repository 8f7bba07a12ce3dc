import BackendInterface
import Foundation
import Tensors

/// The tensors of one call in float64, cut into pieces of one sequence and one key head, and put together again.
struct ReferenceHeads: Sendable {
    let problem: AttentionProblem
    let expansion: ReferenceExpansion?
    private let q, k, v: [Double]
    private let logG: [Double]?
    private let initialState: ExpandedState?

    /// - Parameter needsExpansion: a state comes out, or its gradient goes in.
    init(_ problem: AttentionProblem, _ inputs: AttentionInputs, needsExpansion: Bool) {
        self.problem = problem
        q = inputs.q.doubles
        k = inputs.k.doubles
        v = inputs.v.doubles
        logG = inputs.logG?.doubles
        initialState = inputs.initialState?.widened
        if let degree = problem.degree, needsExpansion || inputs.initialState != nil {
            expansion = ReferenceExpansion(SymmetricPower(degree: degree, width: problem.keyWidth, tile: problem.tile))
        } else {
            expansion = nil
        }
    }

    var count: Int { problem.sequences.count * problem.keyHeads }

    private func sequence(_ index: Int) -> Range<Int> { problem.sequences[index / problem.keyHeads] }

    func head(_ index: Int) -> ReferenceHead {
        let tokens = sequence(index)
        let keyHead = index % problem.keyHeads
        return ReferenceHead(
            problem: problem, count: tokens.count,
            q: queries(of: q, width: problem.keyWidth, index),
            k: gather(k, tokens, heads: problem.keyHeads, keyHead, width: problem.keyWidth),
            v: gather(v, tokens, heads: problem.keyHeads, keyHead, width: problem.valueWidth),
            logG: logG.map { gather($0, tokens, heads: problem.keyHeads, keyHead, width: 1) }
                ?? [Double](repeating: 0, count: tokens.count),
            initialState: initialState.map { state($0, index, sign: 1) }, expansion: expansion)
    }

    /// `[r, tokens, width]` out of `[b, t, hq, width]`.
    func queries(of tensor: [Double], width: Int, _ index: Int) -> [Double] {
        (0..<problem.group).flatMap { member in
            gather(
                tensor, sequence(index), heads: problem.queryHeads, index % problem.keyHeads * problem.group + member,
                width: width)
        }
    }

    /// The gradient with respect to one head's true state, out of the gradient with respect to the stored numbers.
    func gradient(_ gradient: ExpandedState, _ index: Int) -> ReferenceHead.State {
        var head = state(gradient, index, sign: -1)
        let factor = exp(head.logScale)
        for n in head.S.indices { head.S[n] *= factor }
        for n in head.z.indices { head.z[n] *= factor }
        head.logScale = 0
        return head
    }

    /// One head of `state`, which is `S`, `z` times `2^(sign·p·exponent)`.
    private func state(_ state: ExpandedState, _ index: Int, sign: Double) -> ReferenceHead.State {
        let exponent = state.exponent.withElements(of: Int32.self) { Double($0[index]) }
        func slice(_ tensor: Tensor) -> [Double] {
            tensor.withElements(of: Double.self) { elements in
                let size = elements.count / count
                return Array(elements[index * size..<(index + 1) * size])
            }
        }
        return ReferenceHead.State(
            S: slice(state.S), z: slice(state.z), logScale: sign * Double(problem.degree ?? 0) * exponent * log(2))
    }

    private func gather(_ tensor: [Double], _ tokens: Range<Int>, heads: Int, _ head: Int, width: Int) -> [Double] {
        tokens.flatMap { tensor[($0 * heads + head) * width..<($0 * heads + head + 1) * width] }
    }

    /// `[b, t, hq, width]` out of one `[r, tokens, width]` for every sequence and key head.
    func assembleQueries(_ parts: [[Double]], width: Int, shape: [Int]) -> Tensor {
        assemble(parts, group: problem.group, width: width, shape: shape)
    }

    /// `[b, t, h, width]` out of one `[tokens, width]` for every sequence and key head.
    func assembleKeys(_ parts: [[Double]], width: Int, shape: [Int]) -> Tensor {
        assemble(parts, group: 1, width: width, shape: shape)
    }

    private func assemble(_ parts: [[Double]], group: Int, width: Int, shape: [Int]) -> Tensor {
        var result = Tensor(shape, .float64)
        result.withMutableElements(of: Double.self) { elements in
            for (index, part) in parts.enumerated() {
                let tokens = sequence(index)
                for member in 0..<group {
                    let head = index % problem.keyHeads * group + member
                    for (i, token) in tokens.enumerated() {
                        for n in 0..<width {
                            elements[(token * problem.keyHeads * group + head) * width + n] =
                                part[(member * tokens.count + i) * width + n]
                        }
                    }
                }
            }
        }
        return result
    }

    /// A state of all heads with the given exponents (zeros unless given).
    func assemble(_ parts: [ReferenceHead.State], exponent: Tensor? = nil) -> ExpandedState {
        let dimension = parts.first?.z.count ?? expansion?.dimension ?? 0
        let (n, h) = (problem.sequences.count, problem.keyHeads)
        return ExpandedState(
            S: Tensor([n, h, dimension, problem.valueWidth], parts.flatMap(\.S)),
            z: Tensor([n, h, dimension], parts.flatMap(\.z)),
            exponent: exponent ?? Tensor([n, h], .int32))
    }
}

extension Tensor {
    /// The elements, widened.
    var doubles: [Double] { converted(to: .float64).array(of: Double.self) }
}

extension ExpandedState {
    /// The same state in float64.
    var widened: ExpandedState {
        ExpandedState(S: S.converted(to: .float64), z: z.converted(to: .float64), exponent: exponent)
    }
}
