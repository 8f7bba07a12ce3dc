package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The right to write to a run folder, held by one process at a time; the system takes it back when the process ends, however
/// that happens.
package final class RunLock: Sendable {
    private let descriptor: Int32

    /// - Throws: `inputOutput` where another process trains in this folder.
    package init(_ folder: String) throws(PowerAttentionError) {
        descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Folder.failure(folder, "cannot be opened: \(Folder.reason())", "a readable folder")
        }
        // A file system without locks is no reason not to train.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
            close(descriptor)
            throw Folder.failure(folder, "another process is training in it", "a folder of its own for every run")
        }
    }

    deinit {
        // A child process that is just being started holds a copy of the descriptor until it executes its program; closing ours
        // would leave the lock to it that long.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
