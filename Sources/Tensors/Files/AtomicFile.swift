package import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A file that appears under its name complete, or not at all.
///
/// The bytes go to a temporary file in the same folder. ``commit()`` writes them through to the disk, gives the file its name
/// (replacing an old file of that name in one step), and writes the folder through as well, so that the new file survives a
/// power failure. A file that goes away without being committed, after an error for instance, removes the temporary and leaves
/// the old file as it was. A process that is killed leaves at most a hidden file named `.power-….tmp`.
package struct AtomicFile: ~Copyable {
    private let path: String
    private let folder: String
    private let temporary: String
    private let descriptor: Int32
    private var isCommitted = false
    /// The number of bytes appended so far.
    package private(set) var byteCount = 0

    /// Begins a file that will be named `path`. Where `path` is a symbolic link, the file that it points to is replaced.
    ///
    /// - Throws: `inputOutput` where the folder cannot be written to, or where `path` is a folder, a pipe or a device.
    package init(replacing path: String) throws(PowerAttentionError) {
        let target = try Self.target(of: path)
        let random = String(UInt64.random(in: 0...UInt64.max), radix: 36)
        let temporary = "\(target.folder)/.power-\(getpid())-\(random).tmp"
        let descriptor = try System.open(
            temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode: 0o666, action: "created", expected: "a writable folder",
            blaming: path)
        if let mode = target.mode { fchmod(descriptor, mode) }
        self.path = target.path
        folder = target.folder
        self.temporary = temporary
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
        if !isCommitted { unlink(temporary) }
    }

    /// Where a file named `path` really goes, and the permissions of the file that is there.
    private static func target(
        of path: String
    ) throws(PowerAttentionError) -> (path: String, folder: String, mode: mode_t?) {
        try System.check(path)
        var path = path
        var status = stat()
        var mode: mode_t?
        if stat(path, &status) == 0 {
            guard System.isRegular(status) else {
                throw PowerAttentionError(
                    .inputOutput, argument: path, given: "exists and is not a regular file", expected: "a file or a new name")
            }
            mode = status.st_mode & 0o7777
            if let resolved = realpath(path, nil) {
                path = String(cString: resolved)
                free(resolved)
            }
        }
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (path, ".", mode) }
        return (path, slash == path.startIndex ? "/" : String(path[..<slash]), mode)
    }

    /// Writes `bytes` after those written before.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) throws(PowerAttentionError) {
        try overwrite(bytes, at: byteCount)
        byteCount += bytes.count
    }

    /// Writes the elements of `array`, as they are in memory, after what was written before.
    package mutating func append<Element: BitwiseCopyable>(_ array: [Element]) throws(PowerAttentionError) {
        try array.span.bytes.withUnsafeBytes { bytes throws(PowerAttentionError) in try append(bytes) }
    }

    /// Writes `bytes` from `offset` on, over what was written there before.
    package func overwrite(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(PowerAttentionError) {
        var done = 0
        while done < bytes.count {
            let part = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(descriptor, part.baseAddress, min(part.count, 1 << 30), off_t(offset + done))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure("written") }
            done += count
        }
    }

    /// Gives the file its name. Nothing may be written afterwards.
    package mutating func commit() throws(PowerAttentionError) {
        guard System.synchronize(descriptor) else { throw failure("written") }
        guard rename(temporary, path) == 0 else { throw failure("replaced") }
        isCommitted = true
        let parent = try System.open(
            folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, action: "opened", expected: "a readable folder", blaming: folder)
        defer { close(parent) }
        // Some file systems cannot synchronize a folder and say so with EINVAL; there is nothing more to do on those.
        guard System.synchronize(parent) || errno == EINVAL else { throw failure("written") }
    }

    private func failure(_ action: String) -> PowerAttentionError {
        System.failure(path, action, expected: "room for the file in \(folder)")
    }
}

extension AtomicFile {
    /// Writes a whole file.
    package static func write(_ data: Data, to path: String) throws(PowerAttentionError) {
        var file = try AtomicFile(replacing: path)
        try data.bytes.withUnsafeBytes { bytes throws(PowerAttentionError) in try file.append(bytes) }
        try file.commit()
    }

    /// Writes a whole file in UTF-8.
    package static func write(_ text: String, to path: String) throws(PowerAttentionError) {
        var file = try AtomicFile(replacing: path)
        try file.append(Array(text.utf8))
        try file.commit()
    }
}
