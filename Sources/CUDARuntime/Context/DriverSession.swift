import Tensors

/// The driver with the card's primary context: what every owner of something on the card keeps alive, so that the context goes
/// last.
final class DriverSession: Sendable {
    let driver: Driver
    private let context: PrimaryContext

    init(_ driver: Driver, device: CInt) throws(PowerAttentionError) {
        self.driver = driver
        context = try PrimaryContext(driver, device: device)
    }

    /// Makes the context current on this thread. Others may have made theirs current since the last call.
    func makeCurrent() throws(PowerAttentionError) {
        try driver.check(driver.ctxSetCurrent(context.handle), "cuCtxSetCurrent")
    }

    /// Gives something back; a failure has nobody to go to, and what it belonged to is gone with the context.
    func release(_ body: (Driver) -> Driver.Result) {
        _ = driver.ctxSetCurrent(context.handle)
        _ = body(driver)
    }
}
