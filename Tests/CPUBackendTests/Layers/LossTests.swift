import BackendInterface
import CPUBackend
import Foundation
import Tensors
import Testing

@Suite struct LossTests {
    let kernels = CPUBackend()

    @Test(arguments: [DataType.float32, .float64], [1, 2, 17, 1000]) func crossEntropy(dataType: DataType, vocabulary: Int) {
        var generator = RandomGenerator(seed: 10)
        let rows = 90
        // Logits up to ±1,000: exponentials overflow unless the largest is subtracted.
        var logits = Tensor(
            [rows, vocabulary],
            doubles(generator.normal([rows, vocabulary], .float64, scale: 3)).enumerated().map {
                $1 * ($0 / vocabulary == 0 ? 300 : 1)
            }
        ).converted(to: dataType)
        let targets = (0..<rows).map { row in row % 5 == 3 ? -1 : Int32(generator.next() % UInt64(vocabulary)) }
        var (losses, gradient): ([Double], [Double]) = ([], [])
        let values = doubles(logits)
        for (row, target) in targets.enumerated() {
            let row = values[row * vocabulary..<(row + 1) * vocabulary]
            let largest = row.max()!
            let sum = row.reduce(0) { $0 + exp($1 - largest) }
            losses.append(target < 0 ? 0 : log(sum) + largest - row[row.startIndex + Int(target)])
            gradient += row.enumerated().map { index, x in
                target < 0 ? 0 : 0.25 * (exp(x - largest) / sum - (index == Int(target) ? 1 : 0))
            }
        }
        let original = logits.converted(to: dataType)
        let scored = kernels.crossEntropy(
            &logits, columns: vocabulary, targets: Tensor([targets.count], targets), gradientScale: nil)
        #expect(relativeError(doubles(scored), losses) < tolerance(dataType))
        #expect(doubles(logits) == doubles(original))
        let trained = kernels.crossEntropy(
            &logits, columns: vocabulary, targets: Tensor([targets.count], targets), gradientScale: 0.25)
        #expect(relativeError(doubles(trained), losses) < tolerance(dataType))
        #expect(relativeError(doubles(logits), gradient) < tolerance(dataType))
    }

    /// A logit that is not a number must show in the loss, not vanish.
    @Test func notANumber() {
        var logits = Tensor([1, 20], (0..<20).map { $0 == 7 ? Float.nan : 1 })
        #expect(
            kernels.crossEntropy(&logits, columns: logits.count, targets: Tensor([1], [3] as [Int32]), gradientScale: nil)
                .array(of: Float.self)[0].isNaN)
    }

    @Test(arguments: [DataType.float32, .float64]) func adamW(dataType: DataType) {
        var generator = RandomGenerator(seed: 11)
        let count = 40_000
        var value = generator.normal([count], dataType)
        var (m, v) = (Tensor([count], dataType), Tensor([count], dataType))
        var expected = (value: doubles(value), m: [Double](repeating: 0, count: count), v: [Double](repeating: 0, count: count))
        for step in 1...3 {
            let gradient = generator.normal([count], dataType)
            let numbers = AdamWStep(
                learningRate: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, gradientScale: 0.5, step: step)
            kernels.adamW(&value, gradient: gradient, firstMoment: &m, secondMoment: &v, step: numbers)
            for (index, g) in doubles(gradient).enumerated() {
                let g = 0.5 * g
                expected.m[index] = 0.9 * expected.m[index] + 0.1 * g
                expected.v[index] = 0.95 * expected.v[index] + 0.05 * g * g
                let direction =
                    expected.m[index] / (1 - pow(0.9, Double(step)))
                    / ((expected.v[index] / (1 - pow(0.95, Double(step)))).squareRoot() + 1e-8)
                expected.value[index] -= 1e-2 * (direction + 0.1 * expected.value[index])
            }
        }
        #expect(relativeError(doubles(value), expected.value) < tolerance(dataType))
        #expect(relativeError(doubles(m), expected.m) < tolerance(dataType))
        #expect(relativeError(doubles(v), expected.v) < tolerance(dataType))
    }
}
