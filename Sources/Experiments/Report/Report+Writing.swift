import Foundation
import Tensors

extension Report {
    /// Replaces the file as a whole, so that a reader never sees half a page.
    func write(_ text: String, to path: String) throws(PowerAttentionError) {
        let url = URL(fileURLWithPath: path)
        do {
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url, options: .atomic)
        } catch {
            throw PowerAttentionError(
                .inputOutput, argument: path, given: "a path that cannot be written", expected: "a writable one", cause: error)
        }
    }
}
