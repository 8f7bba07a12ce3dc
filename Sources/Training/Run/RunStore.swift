import Foundation
package import Tensors

/// The folder of one training run:
///
///     config.json            the configuration with every choice made, and the number of parameters
///     metrics.jsonl          a line a step: ``StepRecord``, or ``SkippedStep``
///     checkpoints/           ``CheckpointStore``
///         step-00000500/     model.safetensors, optimizer.safetensors, state.json
///         step-00001000/
///     eval.json              the in-context learning curve: ``InContextCurve``
///     sample.json            {"prompt": "…", "text": "…"}
///     report.html            the page that shows all of this
///
/// Training writes the first three. Every file but `metrics.jsonl`, which grows a line at a time, is replaced as a whole.
public struct RunStore: Sendable, Hashable {
    public let path: String

    public init(_ path: String) { self.path = path }

    public var configurationPath: String { "\(path)/config.json" }
    public var metricsPath: String { "\(path)/metrics.jsonl" }
    public var checkpointsPath: String { "\(path)/checkpoints" }
    public var evaluationPath: String { "\(path)/eval.json" }
    public var samplePath: String { "\(path)/sample.json" }
    public var reportPath: String { "\(path)/report.html" }

    public var checkpoints: CheckpointStore { CheckpointStore(checkpointsPath) }

    /// Whether a run has begun here.
    package var exists: Bool { FileManager.default.fileExists(atPath: configurationPath) }

    /// Makes the folder for a new run.
    ///
    /// - Parameter overwrite: whether an earlier run may be there: ``removeRun()``.
    /// - Throws: `invalidArgument` where the folder has something in it (with `overwrite`: something, but not a run);
    ///   `inputOutput` where it cannot be written.
    package func create(overwrite: Bool) throws(PowerAttentionError) {
        if try !Folder.names(in: path).allSatisfy({ $0.hasPrefix(".") }) {
            guard overwrite else {
                throw PowerAttentionError(
                    argument: "output folder", given: "\(path), which is not empty,",
                    expected: "a new or empty folder, or --resume to go on with the run, or --overwrite to replace it")
            }
            guard exists else {
                throw PowerAttentionError(
                    argument: "output folder", given: "\(path), which is not empty and not the folder of a run,",
                    expected: "a new or empty folder, or that of an earlier run")
            }
        }
        try Folder.create(path)
    }

    /// Removes what an earlier run wrote, and only that. The caller holds the ``RunLock``.
    package func removeRun() throws(PowerAttentionError) {
        // config.json goes last: what is left by an interruption still counts as a run that may be overwritten.
        for item in [metricsPath, checkpointsPath, evaluationPath, samplePath, reportPath, configurationPath] {
            try Folder.remove(item)
        }
    }

    /// Removes what writers that were killed have left behind. The caller holds the ``RunLock``.
    package func removeLeftovers() throws(PowerAttentionError) {
        for name in try Folder.names(in: path) where name.hasPrefix(".power-") && name.hasSuffix(".tmp") {
            try Folder.remove("\(path)/\(name)")
        }
    }
}
