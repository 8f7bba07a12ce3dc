import CPUBackend
import Tensors
import Testing

/// The elements in float64.
func doubles(_ tensor: Tensor) -> [Double] { tensor.converted(to: .float64).array(of: Double.self) }

/// ‖x − y‖ / ‖y‖.
func relativeError(_ x: [Double], _ y: [Double]) -> Double {
    let difference = zip(x, y).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let norm = y.reduce(0) { $0 + $1 * $1 }
    return difference == 0 ? 0 : (difference / norm).squareRoot()
}

/// The derivatives of `loss` with respect to every element of `x`, by central differences. Their error is about 10⁻¹⁰: the third
/// derivative times the square of the step, and rounding over the step.
func centralDifferences(_ x: Tensor, _ loss: (Tensor) -> Double) -> [Double] {
    let step = 1e-5
    return (0..<x.count).map { index in
        func shifted(_ distance: Double) -> Tensor {
            var y = x
            y.withMutableElements(of: Double.self) { $0[index] += distance }
            return y
        }
        return (loss(shifted(step)) - loss(shifted(-step))) / (2 * step)
    }
}

/// Σ x·y.
func dot(_ x: Tensor, _ y: Tensor) -> Double { zip(doubles(x), doubles(y)).reduce(0) { $0 + $1.0 * $1.1 } }

/// The limit of the relative error against an evaluation in double.
func tolerance(_ dataType: DataType) -> Double { dataType == .float32 ? 2e-6 : 1e-14 }
