import CPUBackend
import Tensors
import Testing

@Suite struct NormTests {
    let kernels = CPUBackend()
    static let shapes = [(1, 1), (3, 7), (5, 64), (900, 100)]

    @Test(arguments: [DataType.float32, .float64], shapes)
    func forward(dataType: DataType, shape: (Int, Int)) {
        let (rows, width) = shape
        var generator = RandomGenerator(seed: 3)
        // A mean far from zero: a variance by subtraction of squares would lose it.
        let x = Tensor([rows, width], doubles(generator.normal([rows, width], .float64)).map { $0 + 30 })
            .converted(to: dataType)
        let (weight, bias) = (generator.normal([width], dataType), generator.normal([width], dataType))
        let (w, b, values) = (doubles(weight), doubles(bias), doubles(x))
        var (layer, rms): ([Double], [Double]) = ([], [])
        for row in 0..<rows {
            let row = values[row * width..<(row + 1) * width]
            let mean = row.reduce(0, +) / Double(width)
            let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
            let square = row.reduce(0) { $0 + $1 * $1 } / Double(width)
            layer += zip(row, zip(w, b)).map { ($0 - mean) / (variance + 1e-5).squareRoot() * $1.0 + $1.1 }
            rms += zip(row, w).map { $0 / (square + 1e-5).squareRoot() * $1 }
        }
        // The mean's rounding is thirty times the deviation's.
        let limit = 30 * tolerance(dataType)
        #expect(relativeError(doubles(kernels.layerNorm(x, weight: weight, bias: bias).y), layer) < limit)
        #expect(relativeError(doubles(kernels.rmsNorm(x, weight: weight).y), rms) < limit)
    }

    @Test(arguments: [false, true]) func layerNormGradients(accumulate: Bool) {
        var generator = RandomGenerator(seed: 4)
        let x = generator.normal([4, 6], .float64)
        let (weight, bias) = (generator.normal([6], .float64), generator.normal([6], .float64))
        let outer = generator.normal([4, 6], .float64)
        let loss = { (x: Tensor, w: Tensor, b: Tensor) in dot(kernels.layerNorm(x, weight: w, bias: b).y, outer) }
        let before = doubles(outer)
        var (dx, dw, db) = (outer, Tensor([6], .float64), Tensor([6], .float64))
        let statistics = kernels.layerNorm(x, weight: weight, bias: bias).statistics
        kernels.layerNormBackward(
            x, weight: weight, statistics: statistics, gradient: outer, into: &dx, accumulate: accumulate,
            weightGradient: &dw, biasGradient: &db)
        let slopes = centralDifferences(x) { loss($0, weight, bias) }
        #expect(relativeError(doubles(dx), accumulate ? zip(slopes, before).map(+) : slopes) < 1e-8)
        #expect(relativeError(doubles(dw), centralDifferences(weight) { loss(x, $0, bias) }) < 1e-8)
        #expect(relativeError(doubles(db), centralDifferences(bias) { loss(x, weight, $0) }) < 1e-8)
    }

    @Test(arguments: [false, true]) func rmsNormGradients(accumulate: Bool) {
        var generator = RandomGenerator(seed: 5)
        let x = generator.normal([4, 6], .float64)
        let weight = generator.normal([6], .float64)
        let outer = generator.normal([4, 6], .float64)
        let before = doubles(outer)
        var (dx, dw) = (outer, Tensor([6], .float64))
        kernels.rmsNormBackward(
            x, weight: weight, statistics: kernels.rmsNorm(x, weight: weight).statistics, gradient: outer, into: &dx,
            accumulate: accumulate, weightGradient: &dw)
        let slopes = centralDifferences(x) { dot(kernels.rmsNorm($0, weight: weight).y, outer) }
        #expect(relativeError(doubles(dx), accumulate ? zip(slopes, before).map(+) : slopes) < 1e-8)
        #expect(relativeError(doubles(dw), centralDifferences(weight) { dot(kernels.rmsNorm(x, weight: $0).y, outer) }) < 1e-8)
    }

    /// Sums over many rows: every run of the partition counts once, and twice the same call gives the same bits.
    @Test func columnSumsOverRuns() {
        var generator = RandomGenerator(seed: 6)
        let (rows, width) = (2_000, 70)
        let x = generator.normal([rows, width])
        let outer = generator.normal([rows, width])
        let ones = Tensor([width], [Float](repeating: 1, count: width))
        func gradients() -> (Tensor, Tensor, Tensor) {
            var (dx, dw, db) = (Tensor([rows, width], .float32), Tensor([width], .float32), Tensor([width], .float32))
            kernels.layerNormBackward(
                x, weight: ones, statistics: kernels.layerNorm(x, weight: ones, bias: ones).statistics, gradient: outer,
                into: &dx, accumulate: false, weightGradient: &dw, biasGradient: &db)
            return (dx, dw, db)
        }
        let first = gradients()
        var sums = [Double](repeating: 0, count: width)
        for (index, value) in doubles(outer).enumerated() { sums[index % width] += value }
        #expect(relativeError(doubles(first.2), sums) < 1e-6)
        var biasGradient = Tensor([width], .float32)
        kernels.addBiasBackward(gradient: outer, from: 0, biasGradient: &biasGradient)
        #expect(relativeError(doubles(biasGradient), sums) < 1e-6)
        for _ in 0..<5 {
            let again = gradients()
            #expect(first.0.array(of: Float.self) == again.0.array(of: Float.self))
            #expect(first.1.array(of: Float.self) == again.1.array(of: Float.self))
        }
    }
}
