import BackendInterface
import PowerAttention
import Tensors
import Testing

/// Queries and keys at both ends of the range of float32, where not even q·k is a float32.
@Suite struct MagnitudeTests {
    @Test(arguments: [2, 4], [(1e-20, 1e-20), (1e-10, 1e-30), (1e-37, 1), (1, 1e-37), (1e10, 2e37), (2e37, 1e10)])
    func agreesWithTheDefinition(degree: Int, magnitudes: (q: Double, k: Double)) throws {
        let (whole, scaled) = try gradients(degree, magnitudes)
        // Sum normalization takes the magnitudes out of the answer; a gradient gets the inverse of its own.
        for (name, expected, given, factor) in [
            ("y", whole.y, scaled.y, 1), ("dq", whole.gradients.q, scaled.gradients.q, magnitudes.q),
            ("dk", whole.gradients.k, scaled.gradients.k, magnitudes.k), ("dv", whole.gradients.v, scaled.gradients.v, 1),
        ] {
            // Below the normal numbers digits are lost to the format itself.
            guard factor < 1e30 else { continue }
            #expect(relativeError(given.multiplied(by: factor), expected) < 1e-4, "\(name)")
        }
    }

    /// Less than the smallest normal number: digits are lost, but outputs stay finite. (dq and dk are past float32 then.)
    @Test(arguments: [2, 4], [(1e-40, 1), (1, 1e-40), (1e-40, 1e-40), (60, 1e-44)])
    func subnormalNumbersStayFinite(degree: Int, magnitudes: (q: Double, k: Double)) throws {
        let scaled = try gradients(degree, magnitudes).scaled
        for tensor in [scaled.y, scaled.gradients.v] { #expect(tensor.array(of: Float.self).allSatisfy { $0.isFinite }) }
    }

    private typealias Answer = (y: Tensor, gradients: AttentionOperator.Gradients)

    private func gradients(_ degree: Int, _ magnitudes: (q: Double, k: Double)) throws -> (whole: Answer, scaled: Answer) {
        let inputs = RandomInputs(length: 40)
        let attention = try AttentionOperator(
            AttentionConfiguration(.power(degree: degree), form: .chunked, chunkSize: 16))
        func answer(_ q: Tensor, _ k: Tensor) throws -> Answer {
            (
                try attention.forward(q: q, k: k, v: inputs.v),
                try attention.backward(q: q, k: k, v: inputs.v, dy: inputs.dy)
            )
        }
        return (
            try answer(inputs.q, inputs.k),
            try answer(inputs.q.multiplied(by: magnitudes.q), inputs.k.multiplied(by: magnitudes.k))
        )
    }
}

extension Tensor {
    fileprivate func multiplied(by factor: Double) -> Tensor {
        Tensor(shape, array(of: Float.self).map { Float(Double($0) * factor) })
    }
}
