import Foundation
import Tensors

/// Compiled kernels on disk, one file each, named by the digest of everything that the compiler was given.
///
/// Files appear complete or not at all, so processes that use the folder at the same time see each other's whole entries. A
/// damaged entry counts as absent. Nothing is ever removed: the folder may be deleted at any time.
package struct KernelCache: Sendable, Hashable {
    package let folder: String

    package init(folder: String) { self.folder = folder }

    /// `power-attention/kernels` in `XDG_CACHE_HOME`, or in `~/.cache`; nil where there is no home either.
    package static func standard(environment: [String: String] = ProcessInfo.processInfo.environment) -> KernelCache? {
        // Paths that are not absolute are to be ignored, says the specification of these folders.
        if let base = environment["XDG_CACHE_HOME"], base.hasPrefix("/") {
            return KernelCache(folder: "\(base)/power-attention/kernels")
        }
        guard let home = environment["HOME"], home.hasPrefix("/") else { return nil }
        return KernelCache(folder: "\(home)/.cache/power-attention/kernels")
    }

    /// The entry of a key, nil where there is none or it is damaged.
    func entry(_ key: String) -> CacheEntry? {
        guard let file = try? OpenFile(reading: path(of: key)), let bytes = try? file.bytes(0..<file.byteCount) else {
            return nil
        }
        return CacheEntry(bytes, key: key)
    }

    /// Writes an entry, over a damaged one too.
    ///
    /// - Throws: `inputOutput` where the folder cannot be written to.
    func write(_ entry: CacheEntry, _ key: String) throws(PowerAttentionError) {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw PowerAttentionError(
                .inputOutput, argument: folder, given: "cannot be created", expected: "a folder that can be written to",
                cause: error)
        }
        try AtomicFile.write(Data(entry.bytes(key: key)), to: path(of: key))
    }

    /// The number of entries and the bytes that they take.
    package var usage: (entries: Int, bytes: Int) {
        let entries = LibrarySearch.contents(of: folder).filter { $0.hasSuffix(Self.suffix) }
        let sizes = entries.map { name in
            (try? FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")[.size] as? Int) ?? 0
        }
        return (entries.count, sizes.reduce(0, +))
    }

    private static let suffix = ".kernel"

    package func path(of key: String) -> String { "\(folder)/\(key)\(Self.suffix)" }
}
