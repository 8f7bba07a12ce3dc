import BackendInterface
import CKernels
import Tensors

/// What every part of the backward pass reads and writes besides the inputs.
struct GradientBuffers: @unchecked Sendable {
    let operands: AttentionOperands
    /// `[tokens, hq, e]`, in float32.
    let outputGradient: UnsafePointer<Float>
    /// Per row `[tokens, hq]`: the derivative of the numerator is `outputFactor · dy`, of the normalizer `offset`. For
    /// exponential attention the offset is −dy·y and `logSum` the log of the sum of exponentials.
    let outputFactor, offset: UnsafePointer<Float>
    let logSum: UnsafePointer<Float>
    let q: UnsafeMutablePointer<Float>
    var k, v: UnsafeMutablePointer<Float>
    /// Exponential attention with gates: the sums of the exponents' gradients over the queries of a key, `[tokens, h]`.
    var keySums: UnsafeMutablePointer<Float>

    func outputGradient(token: Int, head: Int) -> UnsafePointer<Float> {
        outputGradient + token * operands.outputStride + head * operands.problem.valueWidth
    }

    func q(token: Int, head: Int) -> UnsafeMutablePointer<Float> {
        q + token * operands.queryStride + head * operands.problem.keyWidth
    }

    func k(token: Int, head: Int) -> UnsafeMutablePointer<Float> {
        k + token * operands.keyStride + head * operands.problem.keyWidth
    }

    func v(token: Int, head: Int) -> UnsafeMutablePointer<Float> {
        v + token * operands.valueStride + head * operands.problem.valueWidth
    }

    /// 64 values a row apart, zero beyond `rows`.
    func gather(_ values: UnsafePointer<Float>, token: Int, head: Int, rows: Int, into lanes: UnsafeMutablePointer<Float>) {
        let heads = operands.problem.queryHeads
        for lane in 0..<rows { lanes[lane] = values[(token + lane) * heads + head] }
        for lane in rows..<AttentionOperands.lanes { lanes[lane] = 0 }
    }

    /// `out[tokens] += tile · factor · scale`, row by row.
    func add(
        _ tile: UnsafePointer<Float>, width: Int, rows: Int, factor: UnsafePointer<Float>, scale: Float = 1,
        to out: UnsafeMutablePointer<Float>, stride: Int
    ) {
        withUnsafeTemporaryAllocation(of: Double.self, capacity: AttentionOperands.lanes) { factors in
            for lane in 0..<rows { factors[lane] = Double(factor[lane]) * Double(scale) }
            if let base = factors.baseAddress { store_tokens(tile, width, rows, base, out, stride, 1) }
        }
    }
}
