import BackendInterface
import CKernels
import Tensors

/// The gradient of the log-gates from the other gradients.
///
/// A weight depends on the gates through exp(G_i − G_j), so `dG_i` gains what the weights of row i contribute and `dG_j` loses
/// what those of column j do. Both follow from Euler's theorem for a function homogeneous of degree p: `Σ_j a_ij ∂a_ij =
/// q_i·dq_i / p`, `Σ_i a_ij ∂a_ij = k_j·dk_j / p`. Under sum normalization the rows contribute nothing, because the answer does
/// not change when a row's weights are scaled together. `dlog_g` is the sum of `dG` from the token on.
struct GateGradient: @unchecked Sendable {
    let buffers: GradientBuffers

    /// `finalTerm` is `⟨dS, S⟩ + ⟨dz, z⟩` of the final state, `[n, h]`.
    func compute(logG: Tensor, finalTerm: [Double]) -> Tensor {
        let operands = buffers.operands
        let problem = operands.problem
        let heads = problem.keyHeads
        var result = Tensor(logG.shape, .float32)
        let out = Shared(result.mutablePointer(to: Float.self))
        let gates = SharedReadOnly(logG.pointer(to: Float.self))
        parallelFor(problem.sequences.count * heads) { index in
            let (sequence, head) = (index / heads, index % heads)
            var sum = finalTerm.isEmpty ? 0 : finalTerm[index]
            for token in problem.sequences[sequence].reversed() {
                sum -= column(token: token, head: head)
                if problem.normalization == .none {
                    for member in head * problem.group..<(head + 1) * problem.group { sum += row(token: token, head: member) }
                }
                // Nothing passes a closed gate, or the gate before which there is nothing: the sum of all that follows is zero,
                // up to rounding.
                let isFirst = operands.startsEmpty && token == problem.sequences[sequence].lowerBound
                if isFirst || Double(gates.pointer[token * heads + head]) <= AttentionScales.closedGate { sum = 0 }
                out.pointer[token * heads + head] = Float(sum)
            }
        }
        return result
    }

    private func column(token: Int, head: Int) -> Double {
        let operands = buffers.operands
        guard let degree = operands.problem.degree else {
            return Double(buffers.keySums[token * operands.problem.keyHeads + head])
        }
        return inner_product(
            operands.key(token: token, head: head), buffers.k(token: token, head: head), operands.problem.keyWidth)
            / Double(degree)
    }

    private func row(token: Int, head: Int) -> Double {
        let operands = buffers.operands
        guard let degree = operands.problem.degree else { return 0 }
        return inner_product(
            operands.query(token: token, head: head), buffers.q(token: token, head: head), operands.problem.keyWidth)
            / Double(degree)
    }
}
