#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

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

    /// A number from the standard normal distribution (Box–Muller, one of the pair).
    public mutating func normal() -> Double {
        let radius = (-2 * log(1 - uniform())).squareRoot()
        return radius * cos(2 * Double.pi * uniform())
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
