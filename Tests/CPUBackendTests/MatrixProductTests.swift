import CPUBackend
import Tensors
import Testing

@Suite struct MatrixProductTests {
    static let shapes = [
        (1, 1, 1), (1, 300, 70), (2, 65, 33), (3, 5, 0), (7, 5, 3), (17, 33, 20), (100, 31, 300), (600, 530, 260), (64, 48, 16),
        (40, 70, 5000),
    ]

    /// Against the definition, summed in double: every shape, transposition and both ways of writing the result.
    @Test(arguments: shapes, [(false, false), (false, true), (true, false), (true, true)])
    func product(shape: (Int, Int, Int), transposed: (Bool, Bool)) {
        let (m, n, k) = shape
        for dataType in [DataType.float32, .float64] {
            for accumulate in [false, true] {
                var generator = RandomGenerator(seed: 7)
                let a = generator.normal(transposed.0 ? [k, m] : [m, k], dataType)
                let b = generator.normal(transposed.1 ? [n, k] : [k, n], dataType)
                var c = generator.normal([m, n], dataType)
                let before = c.converted(to: .float64).array(of: Double.self)
                CPUBackend().multiply(
                    a, transposeA: transposed.0, b, transposeB: transposed.1, into: &c, accumulate: accumulate)
                let (x, y) = (
                    a.converted(to: .float64).array(of: Double.self), b.converted(to: .float64).array(of: Double.self)
                )
                let result = c.converted(to: .float64).array(of: Double.self)
                var (error, norm) = (0.0, 0.0)
                for i in 0..<m {
                    for j in 0..<n {
                        var sum = accumulate ? before[i * n + j] : 0
                        for s in 0..<k {
                            sum += x[transposed.0 ? s * m + i : i * k + s] * y[transposed.1 ? j * k + s : s * n + j]
                        }
                        error += (result[i * n + j] - sum) * (result[i * n + j] - sum)
                        norm += sum * sum
                    }
                }
                let limit = dataType == .float32 ? 1e-6 : 1e-14
                #expect(error.squareRoot() <= limit * norm.squareRoot(), "\(dataType) accumulate \(accumulate)")
            }
        }
    }
}
