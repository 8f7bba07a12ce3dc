import Foundation
package import Logging
public import PowerAttention
public import Tensors

/// The checkpoints of a run: a folder `step-00000500` each, newest last.
///
/// A checkpoint is written under another name (`.step-00000500.tmp`), through to the disk, and then renamed: under its own name
/// it is complete. ``CheckpointState`` has the sizes and checksums that show whether it still is.
public struct CheckpointStore: Sendable, Hashable {
    public let path: String

    public init(_ path: String) { self.path = path }

    /// The steps that have a checkpoint, in order, complete or not.
    public func steps() throws(PowerAttentionError) -> [Int] {
        try Folder.names(in: path).compactMap(Self.step(of:)).sorted()
    }

    public func path(of step: Int) -> String { "\(path)/\(Self.name(of: step))" }

    static func name(of step: Int) -> String {
        let digits = String(step)
        return "step-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }

    private static func step(of name: String) -> Int? {
        guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), step >= 0, name == self.name(of: step) else {
            return nil
        }
        return step
    }

    /// The newest checkpoint that is complete.
    ///
    /// - Returns: `nil` where there is none at all.
    /// - Throws: `damagedFile` where there are checkpoints and all are damaged; the first error is that of the newest.
    public func newest() throws(PowerAttentionError) -> Checkpoint? {
        var failure: PowerAttentionError?
        for step in try steps().reversed() {
            do { return try Checkpoint(verifying: path(of: step)) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
        return nil
    }

    /// Where the steps up to the newest checkpoint were made, as far as its state can be read and says so. Nothing else of it is read.
    public func device() -> Device? {
        guard let step = try? steps().last else { return nil }
        let path = "\(path(of: step))/\(Checkpoint.stateName)"
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return try? CheckpointState(data, path: path).device
    }

    /// The newest checkpoint that is complete, to go on from: leftovers of interrupted writes are removed, and damaged newer
    /// checkpoints are put aside under another name, with a warning, so that their steps can be written again.
    package func prepareToResume(_ logger: Logger) throws(PowerAttentionError) -> Checkpoint? {
        for name in try Folder.names(in: path) where name.hasPrefix(".step-") && name.hasSuffix(".tmp") {
            try Folder.remove("\(path)/\(name)")
        }
        let newest = try newest()
        for step in try steps() where step > newest?.state.step ?? 0 {
            let name = Self.name(of: step)
            let taken = Set(try Folder.names(in: path))
            var aside = "\(name).damaged"
            while taken.contains(aside) { aside += "+" }
            try Folder.rename(name, to: aside, in: path)
            logger.warning("\(path)/\(name) is damaged; it is now \(aside), and the run goes on from an older checkpoint")
        }
        return newest
    }

    /// Writes a checkpoint, then removes all but the newest `kept`.
    ///
    /// - Parameter files: the content, by file name.
    /// - Throws: `inputOutput` where writing fails; the checkpoints that were there are then untouched.
    package func write(
        _ state: CheckpointState, _ files: [String: SafetensorsFile], keeping kept: Int
    ) throws(PowerAttentionError) {
        let name = Self.name(of: state.step)
        let temporary = ".\(name).tmp"
        let folder = "\(path)/\(temporary)"
        try Folder.create(path)
        try Folder.remove(folder)
        do throws(PowerAttentionError) {
            try Folder.create(folder)
            var state = state
            for (file, content) in files {
                try content.write(to: "\(folder)/\(file)")
                let (bytes, crc32) = try Checksum.file("\(folder)/\(file)")
                state.files[file] = CheckpointState.FileSummary(bytes: bytes, crc32: crc32)
            }
            try AtomicFile.write(try state.encoded(), to: "\(folder)/\(Checkpoint.stateName)")
            try Folder.synchronize(folder)
            try Folder.rename(temporary, to: name, in: path)
        } catch {
            try? Folder.remove(folder)
            throw error
        }
        try removeAllButNewest(kept)
    }

    private func removeAllButNewest(_ kept: Int) throws(PowerAttentionError) {
        for step in try steps().dropLast(kept) {
            // Renamed first: a folder that is half removed must not pass for a checkpoint.
            let name = Self.name(of: step)
            try Folder.rename(name, to: ".\(name).tmp", in: path)
            try Folder.remove("\(path)/.\(name).tmp")
        }
    }
}
