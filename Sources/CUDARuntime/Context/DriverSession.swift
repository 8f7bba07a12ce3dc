import Synchronization
import Tensors

/// The driver with the card's primary context: what every owner of something on the card keeps alive, so that the context goes
/// last.
final class DriverSession: Sendable {
    let driver: Driver
    private let context: PrimaryContext
    private let history = Mutex(LaunchHistory())

    init(_ driver: Driver, device: CInt) throws(PowerAttentionError) {
        self.driver = driver
        context = try PrimaryContext(driver, device: device)
    }

    /// Makes the context current on this thread. Others may have made theirs current since the last call.
    func makeCurrent() throws(PowerAttentionError) { try check(driver.ctxSetCurrent(context.handle), "cuCtxSetCurrent") }

    /// Gives something back; a failure has nobody to go to, and what it belonged to is gone with the context.
    func release(_ body: (Driver) -> Driver.Result) {
        _ = driver.ctxSetCurrent(context.handle)
        _ = body(driver)
    }

    /// A kernel is about to be launched.
    func remember(_ kernel: KernelSource) { history.withLock { $0.append(kernel) } }

    /// The card has done all that was launched, and without a failure.
    func clearHistory() { history.withLock { $0.clear() } }

    /// Throws where `result` is a failure. Any call may report what went wrong on the card since: then the error names the kernels
    /// that were launched.
    ///
    /// - Throws: `outOfMemory` or `device`; see ``Driver/check(_:_:_:expected:)``.
    func check(
        _ result: Driver.Result, _ call: String, _ subject: @autoclosure () -> String = "",
        expected: @autoclosure () -> String = "success"
    ) throws(PowerAttentionError) {
        guard result != 0 else { return }
        guard Driver.Failure.isOfTheCard(result) else {
            return try driver.check(result, call, subject(), expected: expected())
        }
        let launched = history.withLock { $0.text } ?? "none since it was last waited for"
        try driver.check(
            result, call, subject(),
            expected:
                "success; this is a failure of work that the card was given before (kernels, the last one first: \(launched)). "
                + "Its context is lost: start the program again, with CUDA_LAUNCH_BLOCKING=1 to see which kernel it is")
    }
}
