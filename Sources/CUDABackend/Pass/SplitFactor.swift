import Foundation

/// A factor as kernels take it: a float32 near one times a power of two.
struct SplitFactor: Sendable, Hashable {
    let significand: Float
    let exponent: Int

    /// x^p.
    init(_ x: Double, power: Int) {
        let base = frexp(x)
        let rest = frexp(pow(base.0, Double(power)))
        guard rest.0.isFinite && rest.0 != 0 else {
            (significand, exponent) = (Float(rest.0), 0)
            return
        }
        significand = Float(rest.0)
        exponent = base.1 * power + rest.1
    }
}
