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
    /// How long another process is waited for. One that was killed has its locks until the system has freed what it had on a card, which takes
    /// seconds.
    package static let patience = Duration.seconds(10)
    /// A wait that is longer is worth a word.
    private static let shortWait = Duration.seconds(1)
    private static let microsecondsBetweenAttempts: UInt32 = 50_000

    private let descriptor: Int32

    /// Waits while another process has the lock.
    ///
    /// - Parameters:
    ///   - patience: how long.
    ///   - onLongWait: called once, where the wait takes more than a second.
    /// - Throws: `inputOutput` where another process still trains in this folder afterwards.
    package init(
        _ folder: String, patience: Duration = RunLock.patience, onLongWait: () -> Void = {}
    ) throws(PowerAttentionError) {
        // Becomes the lock's at the end: before that no deinit closes it a second time, when it may be another file's.
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Folder.failure(folder, "cannot be opened: \(Folder.reason())", "a readable folder")
        }
        let start = ContinuousClock.now
        var isLong = false
        // A file system without locks is no reason not to train.
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
            let waited = ContinuousClock.now - start
            guard waited < patience else {
                close(descriptor)
                throw Folder.failure(
                    folder, "another process is training in it, still after \(patience)", "a folder of its own for every run")
            }
            if !isLong, waited > Self.shortWait {
                isLong = true
                onLongWait()
            }
            usleep(Self.microsecondsBetweenAttempts)
        }
        self.descriptor = descriptor
    }

    deinit {
        // A child process that is just being started holds a copy of the descriptor until it executes its program; closing ours
        // would leave the lock to it that long.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}
