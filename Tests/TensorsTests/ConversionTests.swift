import Tensors
import Testing

@Suite struct ConversionTests {
    /// Every bit pattern of a 16-bit type survives the way through float32 and through float64.
    @Test(arguments: [DataType.float16, .bfloat16], [DataType.float32, .float64])
    func roundTrip(narrow: DataType, wide: DataType) {
        let patterns = (0...UInt16.max).filter { pattern in
            let exponent = narrow == .float16 ? (pattern >> 10) & 0x1F : (pattern >> 7) & 0xFF
            return exponent != (narrow == .float16 ? 0x1F : 0xFF)
        }
        var tensor = Tensor([patterns.count], narrow)
        let pointer = tensor.mutablePointer(to: UInt16.self)
        for (index, pattern) in patterns.enumerated() { pointer[index] = pattern }
        let back = tensor.converted(to: wide).converted(to: narrow)
        for (index, pattern) in patterns.enumerated() { #expect(back.pointer(to: UInt16.self)[index] == pattern) }
    }

    /// Halfway cases go to the even neighbour, and a double is rounded once, not twice.
    @Test func rounding() {
        func half(_ x: Double) -> Double {
            Tensor([1], [x]).converted(to: .float16).converted(to: .float64).array(of: Double.self)[0]
        }
        #expect(half(1 + 0x1p-11) == 1)
        #expect(half(1 + 3 * 0x1p-11) == 1 + 0x1p-9)
        #expect(half(1 + 0x1p-11 + 0x1p-40) == 1 + 0x1p-10)
        #expect(half(65520) == .infinity)
        #expect(half(0x1p-25) == 0)
        #expect(half(-0x1.8p-24) == -0x1p-23)
        #expect(half(.nan).isNaN)
    }
}
