import Foundation
import Tensors

extension Report {
    /// Replaces the file as a whole, so that a reader never sees half a page, in a folder that is made where it does not exist.
    func write(_ text: String, to path: String) throws(PowerAttentionError) {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw PowerAttentionError(
                .inputOutput, argument: path, given: "a folder that cannot be made", expected: "a writable one", cause: error)
        }
        try AtomicFile.write(text, to: path)
    }
}
