import CPUBackend
import Foundation
import Tensors
import Testing

@Suite struct RowTests {
    let kernels = CPUBackend()

    @Test(arguments: [DataType.float32, .float64]) func embedding(dataType: DataType) {
        var generator = RandomGenerator(seed: 7)
        let (vocabulary, width, rows) = (37, 24, 4_000)
        let table = generator.normal([vocabulary, width], dataType)
        let tokens = (0..<rows).map { _ in Int32(generator.next() % UInt64(vocabulary)) }
        let values = doubles(table)
        #expect(
            doubles(kernels.embed(Tensor([rows], tokens), table: table))
                == tokens.flatMap { values[Int($0) * width..<Int($0 + 1) * width] })

        let gradient = generator.normal([rows, width], dataType)
        var sums = doubles(table)
        for (index, value) in doubles(gradient).enumerated() {
            sums[Int(tokens[index / width]) * width + index % width] += value
        }
        var tableGradient = table
        kernels.embedBackward(Tensor([rows], tokens), gradient: gradient, tableGradient: &tableGradient)
        #expect(relativeError(doubles(tableGradient), sums) < tolerance(dataType))
    }

    /// Turned by positions m and n, an inner product depends on m − n alone; turning back undoes it.
    @Test(arguments: [DataType.float32, .float64]) func rotation(dataType: DataType) {
        var generator = RandomGenerator(seed: 8)
        let (length, heads, half) = (12, 3, 5)
        let angles = (0..<length * half).map { Double($0 / half) * pow(100, -Double($0 % half) / Double(half)) }
        let cosines = Tensor([length, half], angles.map { cos($0) }).converted(to: dataType)
        let sines = Tensor([length, half], angles.map { sin($0) }).converted(to: dataType)
        let vectors = [generator.normal([1, heads * 2 * half], dataType), generator.normal([1, heads * 2 * half], dataType)]
        let turned = vectors.map { vector in
            let row = doubles(vector)
            var x = Tensor([2 * length, row.count], (0..<2 * length).flatMap { _ in row }).converted(to: dataType)
            kernels.rotate(&x, cosines: cosines, sines: sines, inverse: false)
            let turned = doubles(x)
            kernels.rotate(&x, cosines: cosines, sines: sines, inverse: true)
            #expect(relativeError(doubles(x), (0..<2 * length).flatMap { _ in row }) < tolerance(dataType))
            return turned
        }
        let width = heads * 2 * half
        func product(_ m: Int, _ n: Int) -> Double {
            (0..<width).reduce(0) { $0 + turned[0][m * width + $1] * turned[1][n * width + $1] }
        }
        for distance in 0..<5 {
            for n in 1..<length - distance {
                #expect(abs(product(n + distance, n) - product(distance, 0)) < 20 * tolerance(dataType))
            }
        }
        #expect(abs(product(5, 0) - product(0, 0)) > 0.01)
        // The tables repeat for the second sequence.
        #expect(turned[0][0..<length * width] == turned[0][(length * width)...])
        // Pair (0, half) of the first head at position 1 turns by one radian, counterclockwise.
        let x = doubles(vectors[0])
        #expect(abs(turned[0][width] - (x[0] * cos(1) - x[half] * sin(1))) < 10 * tolerance(dataType))
    }

    @Test(arguments: [DataType.float32, .float64], [1, 50_000]) func sums(dataType: DataType, rows: Int) {
        var generator = RandomGenerator(seed: 9)
        let (x, bias) = (generator.normal([rows, 3], dataType), generator.normal([3], dataType))
        var biased = x
        kernels.addBias(&biased, bias: bias)
        let offsets = doubles(bias)
        #expect(relativeError(doubles(biased), doubles(x).enumerated().map { $1 + offsets[$0 % 3] }) < tolerance(dataType))
        let square = doubles(x).reduce(0) { $0 + $1 * $1 }
        #expect(abs(kernels.sumOfSquares(x) / square - 1) < 1e-12)
    }
}
