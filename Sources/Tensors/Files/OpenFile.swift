#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A regular file that is open for reading, closed when its owner goes away.
package struct OpenFile: ~Copyable {
    package let path: String
    /// The size of the file when it was opened.
    package let byteCount: Int
    let descriptor: Int32

    /// Opens `path` for reading.
    ///
    /// - Throws: `inputOutput` where the file cannot be opened or is not a regular file (a folder, a pipe, a device).
    package init(reading path: String) throws(PowerAttentionError) {
        // Without O_NONBLOCK, opening a pipe that nobody writes to would wait forever.
        let descriptor = try System.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, action: "opened", expected: "a readable file")
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let error = System.failure(path, "opened", expected: "a readable file")
            close(descriptor)
            throw error
        }
        guard System.isRegular(status) else {
            close(descriptor)
            throw PowerAttentionError(.inputOutput, argument: path, given: "not a regular file", expected: "a regular file")
        }
        self.path = path
        self.byteCount = Int(status.st_size)
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// - Throws: `inputOutput` where reading fails, `damagedFile` where the file ends before the buffer is full.
    package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(PowerAttentionError) {
        var done = 0
        while done < buffer.count {
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = pread(descriptor, part.baseAddress, min(part.count, 1 << 30), off_t(offset + done))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw System.failure(path, "read", expected: "a readable file") }
            guard count > 0 else {
                throw PowerAttentionError(
                    .damagedFile, argument: path, given: "the file ends at byte \(offset + done)",
                    expected: "at least \(offset + buffer.count) bytes")
            }
            done += count
        }
    }

    /// The bytes in `range`.
    package func bytes(_ range: Range<Int>) throws(PowerAttentionError) -> [UInt8] {
        var failure: PowerAttentionError?
        let result = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            do throws(PowerAttentionError) {
                let target = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: range.count)
                try read(into: target, at: range.lowerBound)
                count = range.count
            } catch { failure = error }
        }
        if let failure { throw failure }
        return result
    }
}
