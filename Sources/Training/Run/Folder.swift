import Foundation
package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// What runs and checkpoints do with folders, durably and with the package's error type.
package enum Folder {
    /// The names in a folder, sorted; none where there is no such folder.
    package static func names(in path: String) throws(PowerAttentionError) -> [String] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        } catch {
            throw failure(path, "cannot be listed", "a readable folder", error)
        }
    }

    /// Makes a folder and those above it; nothing happens where it exists.
    package static func create(_ path: String) throws(PowerAttentionError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw failure(path, "cannot be created", "a writable folder", error)
        }
    }

    /// Removes a file, or a folder with everything in it; nothing happens where there is none.
    package static func remove(_ path: String) throws(PowerAttentionError) {
        guard FileManager.default.fileExists(atPath: path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw failure(path, "cannot be removed", "a writable folder", error)
        }
    }

    /// Renames in one step, within one folder, and writes the folder through to the disk.
    package static func rename(_ name: String, to newName: String, in folder: String) throws(PowerAttentionError) {
        #if canImport(Glibc)
            let result = Glibc.rename("\(folder)/\(name)", "\(folder)/\(newName)")
        #elseif canImport(Musl)
            let result = Musl.rename("\(folder)/\(name)", "\(folder)/\(newName)")
        #else
            let result = Darwin.rename("\(folder)/\(name)", "\(folder)/\(newName)")
        #endif
        guard result == 0 else {
            throw failure("\(folder)/\(name)", "cannot be renamed to \(newName): \(reason())", "a writable folder")
        }
        try synchronize(folder)
    }

    /// Waits until the names in a folder are on the disk.
    package static func synchronize(_ path: String) throws(PowerAttentionError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path, "cannot be opened: \(reason())", "a readable folder") }
        defer { close(descriptor) }
        // Some file systems cannot synchronize a folder and say so with EINVAL; there is nothing more to do on those.
        guard fsync(descriptor) == 0 || errno == EINVAL else {
            throw failure(path, "cannot be written: \(reason())", "a writable folder")
        }
    }

    /// Throws where the disk of a folder has less room than `bytes`, as far as the system tells.
    package static func checkRoom(in path: String, for bytes: Int, _ purpose: String) throws(PowerAttentionError) {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return }
        let (free, overflow) = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: Int(clamping: status.f_frsize))
        guard !overflow, free < bytes else { return }
        throw failure(path, "\(free / 1_000_000) MB free on its disk", "\(bytes / 1_000_000) MB or more for \(purpose)")
    }

    static func reason() -> String { String(cString: strerror(errno)) }

    static func failure(
        _ path: String, _ given: String, _ expected: String, _ cause: (any Error)? = nil
    ) -> PowerAttentionError {
        PowerAttentionError(.inputOutput, argument: path, given: given, expected: expected, cause: cause)
    }
}
