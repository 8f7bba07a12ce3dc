import Tensors

/// The work of training steps: gradients of a batch, their norm, the update. Steps are begun and finished in order.
protocol StepRunner: AnyObject {
    /// Steps that may be begun before the first of them is finished.
    var depth: Int { get }

    /// Starts the work of a step; the first one is 1. On a device the work is under way when this returns.
    func begin(_ step: Int) throws(PowerAttentionError)

    /// Waits for the oldest step that was begun.
    func finish() throws(PowerAttentionError) -> StepOutcome

    /// The norms of gradients so far. No step may be under way.
    func history() throws(PowerAttentionError) -> NormHistory

    /// The optimizer's state as it is on disk. No step may be under way.
    func optimizerFile() throws(PowerAttentionError) -> SafetensorsFile

    /// Bytes of the device's memory that the run holds at most; `nil` on the host.
    var peakMemory: Int? { get }
}
