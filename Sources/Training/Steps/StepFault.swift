/// Why a step changed nothing.
struct StepFault: Sendable, Hashable, CustomStringConvertible {
    let reason: SkippedStep.Reason
    /// What was not finite first, where it is known: "the input of norm".
    var first: String?
    private let numbers: String

    static func notFinite(loss: Double, norm: Double) -> StepFault {
        StepFault(reason: .notFinite, numbers: "a loss of \(loss) and a gradient norm of \(norm)")
    }

    /// - Parameter limit: what the norm was compared with, in words.
    static func spike(norm: Double, limit: String) -> StepFault {
        StepFault(reason: .spike, numbers: "a gradient norm of \(norm), \(limit)")
    }

    private init(reason: SkippedStep.Reason, numbers: String) {
        self.reason = reason
        self.numbers = numbers
    }

    var description: String { numbers + (first.map { "; what is not finite first is \($0)" } ?? "") }
}
