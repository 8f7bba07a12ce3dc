import Foundation
public import Tensors

/// A complete checkpoint on disk: `model.safetensors` (the weights), `optimizer.safetensors` (the moments of AdamW) and
/// `state.json` (``CheckpointState``, with the whole configuration: the folder can be moved and used on its own).
public struct Checkpoint: Sendable {
    public let path: String
    package let state: CheckpointState

    static let modelName = "model.safetensors"
    static let optimizerName = "optimizer.safetensors"
    static let stateName = "state.json"

    public var step: Int { state.step }

    /// Opens a checkpoint's folder after reading every file and comparing its size and checksum.
    ///
    /// - Throws: `damagedFile` where something does not match or is missing; `inputOutput` where the folder cannot be read.
    package init(verifying path: String) throws(PowerAttentionError) {
        let file = try OpenFile(reading: "\(path)/\(Self.stateName)")
        guard file.byteCount <= 1 << 20 else {
            throw .damaged(file.path, "\(file.byteCount) bytes", "a checkpoint's state of at most 1 MiB")
        }
        let state = try CheckpointState(Data(try file.bytes(0..<file.byteCount)), path: file.path)
        for name in [Self.modelName, Self.optimizerName] {
            guard let summary = state.files[name] else { throw .damaged(file.path, "nothing about \(name)", "its checksum") }
            let (bytes, crc32) = try Checksum.file("\(path)/\(name)")
            guard bytes == summary.bytes, crc32 == summary.crc32 else {
                throw .damaged(
                    "\(path)/\(name)", "\(bytes) bytes with checksum \(crc32)",
                    "\(summary.bytes) bytes with checksum \(summary.crc32)")
            }
        }
        self.path = path
        self.state = state
    }

    /// Opens what a user names: a checkpoint's folder, or a run's folder, whose newest complete checkpoint is taken.
    ///
    /// - Throws: `inputOutput` where there is neither, `damagedFile` where it is not complete.
    public init(at path: String) throws(PowerAttentionError) {
        let run = RunStore(path)
        if try Folder.names(in: path).contains(Self.stateName) {
            try self.init(verifying: path)
        } else if let newest = try run.checkpoints.newest() {
            self = newest
        } else {
            throw PowerAttentionError(
                .inputOutput, argument: path, given: "no checkpoint there",
                expected: "the folder of a run that has written a checkpoint, or the folder of a checkpoint")
        }
    }
}
