/// A seeded generator of random numbers whose whole state can be saved: SplitMix64 (Steele, Lea, Flood 2014).
///
/// The same seed gives the same numbers on every machine.
public struct RandomGenerator: RandomNumberGenerator, Sendable, Codable, Hashable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number in [0, 1), uniform, with 53 random bits.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A number from the standard normal distribution (Marsaglia's polar method, one of the pair), from arithmetic that every
    /// machine rounds alike: libraries' logarithms and cosines differ in their last bits.
    public mutating func normal() -> Double {
        while true {
            let x = 2 * uniform() - 1
            let y = 2 * uniform() - 1
            let square = x * x + y * y
            if square > 0, square < 1 { return x * (-2 * Self.log(square) / square).squareRoot() }
        }
    }

    /// The natural logarithm of a positive number: `log(2^n m) = n log 2 + 2 artanh((m − 1) / (m + 1))`.
    private static func log(_ x: Double) -> Double {
        let (exponent, significand) = (Double(x.exponent), x.significand)
        let (n, m) = significand > 1.4142135623730951 ? (exponent + 1, significand / 2) : (exponent, significand)
        let s = (m - 1) / (m + 1)
        let square = s * s
        var series = 1.0 / 23
        series = series * square + 1.0 / 21
        series = series * square + 1.0 / 19
        series = series * square + 1.0 / 17
        series = series * square + 1.0 / 15
        series = series * square + 1.0 / 13
        series = series * square + 1.0 / 11
        series = series * square + 1.0 / 9
        series = series * square + 1.0 / 7
        series = series * square + 1.0 / 5
        series = series * square + 1.0 / 3
        return n * 0.6931471805599453 + 2 * s * (series * square + 1)
    }

    /// A tensor of normally distributed numbers.
    package mutating func normal(_ shape: [Int], _ dataType: DataType = .float32, scale: Double = 1) -> Tensor {
        var result = Tensor(uninitialized: shape, .float64)
        result.withMutableElements(of: Double.self) { elements in
            for index in elements.indices { elements[index] = normal() * scale }
        }
        return result.converted(to: dataType)
    }
}
