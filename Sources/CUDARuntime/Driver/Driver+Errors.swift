import Tensors

extension Driver {
    /// The results that mean something to this package, by the driver's numbers.
    package enum Failure {
        package static let outOfMemory: Result = 2
        package static let noDevice: Result = 100

        /// Failures of work that was queued before, which end the context: faults of memory and of instructions, assertions, time
        /// limits, errors of the memory itself, and what the driver cannot name.
        static func isOfTheCard(_ result: Result) -> Bool {
            [214, 220, 226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 999].contains(result)
        }
    }

    /// The driver's name of a result and its text, `CUDA_ERROR_INVALID_VALUE: invalid argument`.
    func explanation(of result: Result) -> String {
        func text(_ function: (Result, Out<Text?>) -> Result) -> String? {
            var text: Text?
            guard function(result, &text) == 0 else { return nil }
            return text.map { String(cString: $0) }
        }
        let name = text(getErrorName) ?? "error \(result)"
        return text(getErrorString).map { "\(name): \($0)" } ?? name
    }

    /// Throws where `result` is a failure.
    ///
    /// - Parameters:
    ///   - call: the function of the driver.
    ///   - subject: what it was about.
    ///   - expected: what to do about it.
    /// - Throws: `outOfMemory` or `device`.
    func check(
        _ result: Result, _ call: String, _ subject: @autoclosure () -> String = "",
        expected: @autoclosure () -> String = "success"
    ) throws(PowerAttentionError) {
        guard result != 0 else { return }
        let subject = subject()
        throw PowerAttentionError(
            result == Failure.outOfMemory ? .outOfMemory : .device, argument: subject.isEmpty ? call : "\(call) of \(subject)",
            given: explanation(of: result), expected: expected())
    }
}
