import CPUBackend
import Foundation
import Tensors
import Testing

@Suite struct ActivationTests {
    let kernels = CPUBackend()

    /// More than one run of the row partition, and a length that no vector divides.
    @Test(arguments: [DataType.float32, .float64], [17, 70_001])
    func forward(dataType: DataType, count: Int) {
        var generator = RandomGenerator(seed: 1)
        let x = generator.normal([count], dataType, scale: 4)
        let gelu = doubles(x).map { 0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }
        // tanh form cancels where the result is tiny; compare on the scale of the input.
        let error = zip(doubles(kernels.gelu(x)), gelu).map { abs($0 - $1) }.max()!
        #expect(error < 20 * tolerance(dataType))

        let rows = generator.normal([count, 6], dataType, scale: 4)
        let values = doubles(rows)
        let swiglu = (0..<count * 3).map { index in
            let gate = values[index / 3 * 6 + index % 3]
            return gate / (1 + exp(-gate)) * values[index / 3 * 6 + index % 3 + 3]
        }
        #expect(relativeError(doubles(kernels.swiglu(rows)), swiglu) < tolerance(dataType))

        let bias = generator.normal([6], dataType, scale: 8)
        let offsets = doubles(bias)
        let logSigmoid = values.indices.map { index in
            let z = values[index] + offsets[index % 6]
            return min(z, 0) - log1p(exp(-abs(z)))
        }
        #expect(relativeError(doubles(kernels.logSigmoid(rows, bias: bias)), logSigmoid) < tolerance(dataType))
    }

    /// The float32 exponential and logarithm, seen through log-sigmoid, to the last bits over their whole range.
    @Test func elementaryAccuracy() {
        let arguments = (0..<40_000).map { Float($0) * 0.005 - 100 }
        let y = kernels.logSigmoid(Tensor([arguments.count, 1], arguments), bias: Tensor([1], .float32)).array(of: Float.self)
        for (x, result) in zip(arguments, y) {
            let expected = min(Double(x), 0) - log1p(exp(-abs(Double(x))))
            #expect(abs(Double(result) - expected) <= 4 * Double(Float(expected).ulp), "at \(x)")
        }
    }

    @Test(arguments: [DataType.float32, .float64])
    func extremes(dataType: DataType) {
        let inputs = [-1e30, -1000, -90, 90, 1000, 1e30]
        let x = Tensor([6], inputs).converted(to: dataType)
        #expect(relativeError(doubles(kernels.gelu(x)), [0, 0, 0, 90, 1000, 1e30]) < tolerance(dataType))
        var gradient = Tensor([6], [Double](repeating: 1, count: 6)).converted(to: dataType)
        kernels.geluBackward(x, gradient: &gradient)
        #expect(relativeError(doubles(gradient), [0, 0, 0, 1, 1, 1]) < tolerance(dataType))
        let column = x.reshaped([6, 1])
        let logs = doubles(kernels.logSigmoid(column, bias: Tensor([1], dataType)))
        #expect(relativeError(Array(logs[0..<3]), Array(inputs[0..<3])) < tolerance(dataType))
        #expect(logs[3...].allSatisfy { $0 <= 0 && $0 > -1e-38 })
    }

    @Test func gradients() {
        var generator = RandomGenerator(seed: 2)
        let x = generator.normal([5, 6], .float64, scale: 2)
        let weights = generator.normal([5, 6], .float64)
        var gelu = weights
        kernels.geluBackward(x, gradient: &gelu)
        #expect(relativeError(doubles(gelu), centralDifferences(x) { dot(kernels.gelu($0), weights) }) < 1e-8)

        let halves = generator.normal([5, 3], .float64)
        let swiglu = kernels.swigluBackward(x, gradient: halves)
        #expect(relativeError(doubles(swiglu), centralDifferences(x) { dot(kernels.swiglu($0), halves) }) < 1e-8)

        let bias = generator.normal([6], .float64)
        var (gates, biasGradient) = (weights, Tensor([6], [Double](repeating: 1, count: 6)))
        kernels.logSigmoidBackward(x, bias: bias, gradient: &gates, biasGradient: &biasGradient)
        let gateLoss = { (x: Tensor, bias: Tensor) in dot(kernels.logSigmoid(x, bias: bias), weights) }
        #expect(relativeError(doubles(gates), centralDifferences(x) { gateLoss($0, bias) }) < 1e-8)
        // Gradients of parameters are added to what is there: one.
        let biasSlopes = centralDifferences(bias) { gateLoss(x, $0) }.map { $0 + 1 }
        #expect(relativeError(doubles(biasGradient), biasSlopes) < 1e-8)
    }
}
