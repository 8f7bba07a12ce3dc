package import PowerAttention

/// A part of the operator's work that is timed.
package enum OperatorPass: String, Sendable, Codable, CaseIterable {
    case forward
    case backward
    /// Forward, then backward.
    case both
    /// One token of every sequence through the recurrent form, states in and out.
    case decode
}

/// Times one call of the operator on one device, with inputs that are there already.
package protocol OperatorTimer {
    /// Makes everything ready that later calls find ready: compiled kernels, inputs on the device.
    ///
    /// - Returns: the seconds of compiling.
    func prepare() throws(PowerAttentionError) -> Double

    /// The seconds of a call in `rounds` runs of `calls` calls each, one after another, after some runs that are not counted; on a GPU by
    /// events, with the second-level cache flushed before each run.
    func time(_ pass: OperatorPass, rounds: Int, calls: Int) throws(PowerAttentionError) -> [Double]

    /// The seconds of plain copies that move as many bytes as a pass, half of them read and half written, timed as the pass is.
    func timeCopy(bytes: Int, rounds: Int, calls: Int) throws(PowerAttentionError) -> [Double]

    /// The processor or the card.
    var cardName: String { get }
    /// What drives it: the operating system, or the version of the card's driver.
    var driverVersion: String { get }
}

extension OperatorBenchmark {
    /// - Throws: `PowerAttentionError` where this machine does not have the device.
    package func timer(on device: Device) throws(PowerAttentionError) -> any OperatorTimer {
        _ = try device.backend(for: dataType)
        switch device {
        case .cpu, .reference: return try CPUOperatorTimer(self, device: device)
        case .cuda: return try CUDAOperatorTimer(self)
        }
    }
}
