/// What a step did.
struct StepOutcome: Sendable, Hashable {
    /// The mean loss of the step's batch before the update, and the norm of all gradients before clipping.
    var loss, norm: Double
    /// Why nothing was updated; `nil` where the parameters were.
    var fault: StepFault?
}
