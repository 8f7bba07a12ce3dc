import Foundation
import Synchronization
import Tensors

/// Compiled kernels on the disk, `XDG_CACHE_HOME/power-attention/kernels` (`~/.cache` without it), one file a kernel.
///
/// A file appears whole or not at all, whoever else writes it; one that is damaged counts as absent. A folder that cannot be written to
/// makes the next start slower and nothing else.
package struct KernelCache: Sendable {
    package let folder: String

    package init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        let home = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        self.init(folder: "\(home ?? NSHomeDirectory() + "/.cache")/power-attention/kernels")
    }

    package init(folder: String) { self.folder = folder }

    /// Format, length of the report, length of the machine code, checksum of both.
    private static let magic: [UInt8] = Array("PAKERN01".utf8)
    private static let headerBytes = 8 + 8 + 8 + 4

    private func path(_ key: KernelKey) -> String { "\(folder)/\(key).cubin" }

    func read(_ key: KernelKey) -> CompiledKernel? {
        guard let data = FileManager.default.contents(atPath: path(key)) else { return nil }
        let bytes = [UInt8](data)
        guard bytes.count >= Self.headerBytes, Array(bytes[..<8]) == Self.magic else { return nil }
        func number(_ start: Int, _ count: Int) -> UInt64 {
            bytes[start..<start + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        let body = bytes[Self.headerBytes...]
        let (reportBytes, codeBytes) = (number(8, 8), number(16, 8))
        guard reportBytes <= body.count, codeBytes == UInt64(body.count) - reportBytes,
            body.withUnsafeBytes({ Checksum.crc32($0) }) == UInt32(number(24, 4)),
            let report = try? JSONDecoder().decode(KernelReport.self, from: Data(body.prefix(Int(reportBytes))))
        else { return nil }
        return CompiledKernel(cubin: Array(body.dropFirst(Int(reportBytes))), report: report, seconds: 0, isCached: true)
    }

    func write(_ kernel: CompiledKernel, _ key: KernelKey) throws {
        let report = try JSONEncoder().encode(kernel.report)
        let body = [UInt8](report) + kernel.cubin
        var data = Data(Self.magic)
        func append<Number: FixedWidthInteger>(_ number: Number) {
            withUnsafeBytes(of: number.littleEndian) { data.append(contentsOf: $0) }
        }
        append(UInt64(report.count))
        append(UInt64(kernel.cubin.count))
        append(body.withUnsafeBytes { Checksum.crc32($0) })
        data.append(contentsOf: body)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try AtomicFile.write(data, to: path(key))
    }

    /// The number of kernels that are held, and their size.
    package var contents: (count: Int, bytes: Int) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let sizes = names.filter { $0.hasSuffix(".cubin") }.compactMap { name in
            (try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)"))?[.size] as? Int
        }
        return (sizes.count, sizes.reduce(0, +))
    }
}
