package import Tensors

/// How far an answer may be from the reference, as `‖x − ref‖ / ‖ref‖` on the same rounded inputs, the answer rounded to the type
/// of the inputs. The gates' gradient sums terms that cancel: ten times the limit of the gradients.
package struct Tolerance: Sendable, Hashable {
    package let output: Double
    package let gradient: Double
    package var gateGradient: Double { 10 * gradient }

    /// Rounding an answer alone costs 2^−25 √(1/3)…2^−24 relative in float32, 1.7e-3 in bfloat16, 2.1e-4 in float16.
    package init(_ dataType: DataType) {
        switch dataType {
        case .float16: (output, gradient) = (1e-3, 2e-3)
        case .bfloat16: (output, gradient) = (4e-3, 1e-2)
        default: (output, gradient) = (1e-5, 1e-5)
        }
    }
}

/// `‖x − reference‖ / ‖reference‖`; where the reference is zero, 0 if x is and infinity if it is not. Infinite for NaN.
package func relativeError(_ x: Tensor, _ reference: Tensor) -> Double {
    guard x.count == reference.count else { return .infinity }
    let (x, reference) = (x.converted(to: .float64), reference.converted(to: .float64))
    return x.withElements(of: Double.self) { x in
        reference.withElements(of: Double.self) { reference in
            // Norms relative to the largest entry, so that squares of huge and tiny numbers stay in range.
            let largest = reference.reduce(0) { max($0, abs($1)) }
            let unit = largest == 0 ? 1 : largest
            var (difference, norm) = (0.0, 0.0)
            for (a, b) in zip(x, reference) {
                difference += (a / unit - b / unit) * (a / unit - b / unit)
                norm += (b / unit) * (b / unit)
            }
            if difference == 0 { return 0 }
            let error = (difference / norm).squareRoot()
            return error.isNaN ? .infinity : error
        }
    }
}
