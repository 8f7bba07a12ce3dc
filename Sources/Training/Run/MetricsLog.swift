package import Tensors
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// `metrics.jsonl`, open for appending. Every line goes to the system in one piece as soon as it is there, so that a reader sees
/// whole lines and a killed process loses none that it has written.
package final class MetricsLog {
    private let path: String
    private let descriptor: Int32
    private let encoder = MetricsLine.Encoder()

    /// Opens the file and removes the lines after `step`: those that a resumed run writes again, and one that was cut off.
    package init(_ path: String, continuingAfter step: Int) throws(PowerAttentionError) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw Folder.failure(path, "cannot be opened: \(Folder.reason())", "a writable file")
        }
        let kept = try Self.prefix(of: path, through: step)
        guard ftruncate(descriptor, off_t(kept)) == 0 else {
            throw Folder.failure(path, "cannot be shortened: \(Folder.reason())", "a writable file")
        }
    }

    deinit { close(descriptor) }

    package func append(_ record: MetricsLine) throws(PowerAttentionError) {
        var line: Data
        do { line = try encoder.data(record) } catch {
            throw PowerAttentionError(
                .nonFinite, argument: "step \(record.step)", given: "a number that is not finite", expected: "finite numbers",
                cause: error)
        }
        line.append(UInt8(ascii: "\n"))
        let written = line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard written == line.count else {
            throw Folder.failure(path, "cannot be written: \(Folder.reason())", "room for another line")
        }
    }

    /// Waits until the lines are on the disk.
    package func synchronize() throws(PowerAttentionError) {
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw Folder.failure(path, "cannot be written: \(Folder.reason())", "room for another line")
        }
    }

    /// The number of bytes of the whole lines up to and including that of `step`.
    private static func prefix(of path: String, through step: Int) throws(PowerAttentionError) -> Int {
        let bytes = try OpenFile(reading: path).everything()
        let decoder = MetricsLine.Decoder()
        var end = 0
        while let newline = bytes[end...].firstIndex(of: UInt8(ascii: "\n")) {
            guard let line = try? decoder.line(Data(bytes[end..<newline])), line.step <= step else { break }
            end = newline + 1
        }
        return end
    }
}

extension OpenFile {
    fileprivate func everything() throws(PowerAttentionError) -> [UInt8] { try bytes(0..<byteCount) }
}
