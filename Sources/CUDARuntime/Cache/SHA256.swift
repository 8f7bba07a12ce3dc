/// SHA-256 of FIPS 180-4.
package struct SHA256 {
    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private var block: [UInt8] = []
    private var byteCount: UInt64 = 0
    private var schedule = [UInt32](repeating: 0, count: 64)

    mutating func update(_ bytes: some Sequence<UInt8>) {
        for byte in bytes {
            block.append(byte)
            byteCount += 1
            if block.count == 64 { compress() }
        }
    }

    /// A text with its length before it, so that two texts are not the same as their concatenation.
    mutating func update(_ text: String) {
        withUnsafeBytes(of: UInt64(text.utf8.count).littleEndian) { update($0) }
        update(text.utf8)
    }

    /// The 32 bytes of the digest. Nothing may be added afterwards.
    mutating func finish() -> [UInt8] {
        let bits = byteCount * 8
        update([0x80])
        while block.count != 56 { update([0]) }
        withUnsafeBytes(of: bits.bigEndian) { update($0) }
        return state.flatMap { word in withUnsafeBytes(of: word.bigEndian) { Array($0) } }
    }

    /// The digest of bytes in 64 hexadecimal digits.
    package static func text(of bytes: [UInt8]) -> String {
        var hash = SHA256()
        hash.update(bytes)
        return hash.finishText()
    }

    /// The digest in 64 hexadecimal digits. Nothing may be added afterwards.
    mutating func finishText() -> String {
        finish().map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private mutating func compress() {
        for t in 0..<16 {
            schedule[t] = block[(4 * t)..<(4 * t + 4)].reduce(0) { $0 << 8 | UInt32($1) }
        }
        for t in 16..<64 {
            let a = schedule[t - 15]
            let b = schedule[t - 2]
            let small = rotated(a, 7) ^ rotated(a, 18) ^ (a >> 3)
            let large = rotated(b, 17) ^ rotated(b, 19) ^ (b >> 10)
            schedule[t] = schedule[t - 16] &+ small &+ schedule[t - 7] &+ large
        }
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for t in 0..<64 {
            let sum = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
            let first = h &+ sum &+ ((e & f) ^ (~e & g)) &+ Self.constants[t] &+ schedule[t]
            let second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) &+ ((a & b) ^ (a & c) ^ (b & c))
            (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
        }
        for (index, value) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= value }
        block.removeAll(keepingCapacity: true)
    }

    private func rotated(_ x: UInt32, _ count: UInt32) -> UInt32 { x >> count | x << (32 - count) }

    /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
    private static let constants: [UInt32] = primes.map { prime in
        // x = ⌊2³² · ∛prime⌋ by bisection in integers: x³ ≤ prime · 2⁹⁶. The whole part is dropped by the truncation.
        var low: UInt128 = 0
        var high: UInt128 = 1 << 35
        while high - low > 1 {
            let middle = (low + high) / 2
            let (cube, overflow) = (middle * middle).multipliedReportingOverflow(by: middle)
            if overflow || cube > UInt128(prime) << 96 { high = middle } else { low = middle }
        }
        return UInt32(truncatingIfNeeded: low)
    }

    private static let primes: [Int] = {
        var primes: [Int] = []
        var candidate = 2
        while primes.count < 64 {
            if !primes.contains(where: { candidate % $0 == 0 }) { primes.append(candidate) }
            candidate += 1
        }
        return primes
    }()
}
