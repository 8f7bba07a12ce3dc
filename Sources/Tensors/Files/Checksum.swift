import CKernels

/// CRC-32 of IEEE 802.3, as zlib computes it, in eight hexadecimal digits.
package enum Checksum {
    /// The checksum of bytes in memory.
    package static func bytes(_ bytes: UnsafeRawBufferPointer) -> String {
        text(crc32(bytes))
    }

    /// The checksum as a number.
    package static func crc32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        crc32_update(0, bytes.baseAddress, bytes.count)
    }

    /// The size and the checksum of a file.
    package static func file(_ path: String) throws(PowerAttentionError) -> (bytes: Int, crc32: String) {
        let file = try OpenFile(reading: path)
        var crc: UInt32 = 0
        var offset = 0
        while offset < file.byteCount {
            let part = try file.bytes(offset..<min(offset + 1 << 20, file.byteCount))
            crc = part.withUnsafeBytes { crc32_update(crc, $0.baseAddress, $0.count) }
            offset += part.count
        }
        return (file.byteCount, text(crc))
    }

    private static func text(_ crc: UInt32) -> String {
        let digits = String(crc, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
