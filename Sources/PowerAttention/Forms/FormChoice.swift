import BackendInterface
import Foundation
import Tensors

/// Which form evaluates a problem, with what chunk size, and why: a pure function of the problem and of the memory allowed.
struct FormChoice: Sendable, Hashable, CustomStringConvertible {
    let form: AttentionConfiguration.Form
    let chunkSize: Int
    let reason: String

    var description: String { "\(form.rawValue), chunks of \(chunkSize): \(reason)" }

    /// A state may take a quarter of the machine's memory.
    static let stateLimit = Int(clamping: ProcessInfo.processInfo.physicalMemory / 4)

    init(
        _ problem: AttentionProblem, chunkSize: Int?, initialState: Bool, finalState: Bool, stateLimit: Int = stateLimit
    ) throws(PowerAttentionError) {
        form = .attention
        self.chunkSize = chunkSize ?? 128
        reason = "all pairs of tokens"
    }
}
