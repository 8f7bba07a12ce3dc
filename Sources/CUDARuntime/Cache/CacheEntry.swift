import Tensors

/// A compiled kernel as it lies in the cache.
///
/// | bytes | |
/// |---|---|
/// | 8 | `POWERK01` |
/// | 32 | SHA-256 of the key and of all that follows |
/// | 48 | whether there is a report, registers, spill stores, spill loads, stack and shared bytes: six 64-bit integers |
/// | 8 | the number of bytes of the image |
/// | … | the image |
///
/// Integers are little-endian.
struct CacheEntry: Sendable, Hashable {
    let report: KernelReport?
    let image: [UInt8]

    private static let magic = Array("POWERK01".utf8)
    private static let headerCount = 8 + 32 + 48 + 8

    init(report: KernelReport?, image: [UInt8]) {
        self.report = report
        self.image = image
    }

    func bytes(key: String) -> [UInt8] {
        var numbers = [Int](repeating: 0, count: 6)
        if let report {
            numbers = [
                1, report.registers, report.spillStores, report.spillLoads, report.stackBytes, report.sharedBytes,
            ]
        }
        let rest =
            (numbers + [image.count]).flatMap { withUnsafeBytes(of: UInt64(truncatingIfNeeded: $0).littleEndian) { Array($0) } }
            + image
        return Self.magic + Self.digest(of: rest, key: key) + rest
    }

    /// Reads an entry; nil where the bytes are not a whole one of this key.
    init?(_ bytes: [UInt8], key: String) {
        guard bytes.count >= Self.headerCount, bytes.starts(with: Self.magic),
            Array(bytes[8..<40]) == Self.digest(of: bytes[40...], key: key)
        else { return nil }
        let numbers = (0..<7).map { index in
            bytes[(40 + 8 * index)..<(48 + 8 * index)].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }.map { Int(truncatingIfNeeded: $0) }
        guard numbers[6] == bytes.count - Self.headerCount else { return nil }
        var report = KernelReport()
        report.registers = numbers[1]
        report.spillStores = numbers[2]
        report.spillLoads = numbers[3]
        report.stackBytes = numbers[4]
        report.sharedBytes = numbers[5]
        self.report = numbers[0] == 1 ? report : nil
        image = Array(bytes[Self.headerCount...])
    }

    private static func digest(of bytes: some Sequence<UInt8>, key: String) -> [UInt8] {
        var hash = SHA256()
        hash.update(key)
        hash.update(bytes)
        return hash.finish()
    }
}
