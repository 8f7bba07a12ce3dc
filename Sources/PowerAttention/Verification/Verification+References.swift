package import Tensors

extension Verification {
    /// The verifications of many problems in their order, with the references evaluated on all cores.
    package static func evaluate(_ problems: [VerificationProblem]) -> [Result<Verification, PowerAttentionError>] {
        var results = [Result<Verification, PowerAttentionError>?](repeating: nil, count: problems.count)
        results.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            let shared = Shared(base)
            // The slowest first, so that the last ones to finish are short.
            let order = problems.indices.sorted { problems[$0].referenceCost > problems[$1].referenceCost }
            parallelFor(order.count) { place in
                let index = order[place]
                let result: Result<Verification, PowerAttentionError>
                do throws(PowerAttentionError) { result = .success(try Verification(problems[index])) } catch {
                    result = .failure(error)
                }
                shared.pointer[index] = result
            }
        }
        return results.compactMap(\.self)
    }
}

extension VerificationProblem {
    /// About proportional to the time of the reference: pairs of tokens, and the expanded keys where there are states.
    fileprivate var referenceCost: Int {
        let pairs = shape.length * shape.length * (shape.keyWidth + shape.valueWidth) / 2
        let dimension = states ? SymmetricPower(degree: mechanism.degree ?? 1, width: shape.keyWidth, tile: tile).dimension : 0
        return shape.batch * shape.queryHeads * (pairs + 2 * shape.length * dimension * shape.valueWidth)
    }
}
