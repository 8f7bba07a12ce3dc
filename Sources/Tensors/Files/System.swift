#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Calls of the operating system with the package's error type.
enum System {
    /// The error of the call that has just failed: `path` cannot be `action`, with the system's reason.
    static func failure(_ path: String, _ action: String, expected: String) -> PowerAttentionError {
        let reason = String(cString: strerror(errno))
        return PowerAttentionError(.inputOutput, argument: path, given: "cannot be \(action): \(reason)", expected: expected)
    }

    /// Opens `path`; an error names `named` where that is what the caller asked for.
    static func open(
        _ path: String, _ flags: Int32, mode: mode_t = 0, action: String, expected: String, blaming named: String? = nil
    ) throws(PowerAttentionError) -> Int32 {
        try check(path)
        while true {
            #if canImport(Glibc)
                let descriptor = Glibc.open(path, flags, mode)
            #elseif canImport(Musl)
                let descriptor = Musl.open(path, flags, mode)
            #else
                let descriptor = Darwin.open(path, flags, mode)
            #endif
            if descriptor >= 0 { return descriptor }
            guard errno == EINTR else { throw failure(named ?? path, action, expected: expected) }
        }
    }

    /// Refuses a path that the system would cut short at a zero byte.
    static func check(_ path: String) throws(PowerAttentionError) {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw PowerAttentionError(argument: "path", given: String(reflecting: path), expected: "the name of a file")
        }
    }

    static func isRegular(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFREG }

    /// Waits until what was written to the descriptor is on the disk.
    static func synchronize(_ descriptor: Int32) -> Bool {
        #if canImport(Darwin)
            if fcntl(descriptor, F_FULLFSYNC) == 0 { return true }
        #endif
        while fsync(descriptor) != 0 {
            guard errno == EINTR else { return false }
        }
        return true
    }
}
