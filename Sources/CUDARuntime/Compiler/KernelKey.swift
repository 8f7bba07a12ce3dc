/// What a compiled kernel depends on, as 128 bits: compiler, options, its source and all headers that it includes.
struct KernelKey: Sendable, Hashable, CustomStringConvertible {
    private var hash: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

    /// Adds a text and its length: FNV-1a with 128 bits (Fowler, Noll, Vo).
    mutating func add(_ text: String) {
        for byte in text.utf8 { add(byte) }
        withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { for byte in $0 { add(byte) } }
    }

    private mutating func add(_ byte: UInt8) {
        hash ^= UInt128(byte)
        hash &*= 0x0000_0000_0100_0000_0000_0000_0000_013b
    }

    var description: String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}
