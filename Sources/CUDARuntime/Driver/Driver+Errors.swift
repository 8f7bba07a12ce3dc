package import Tensors

extension Driver {
    /// Throws where a call of the driver failed, with the driver's name for the failure, its text, and the call.
    package func check(_ status: Status, _ call: @autoclosure () -> String) throws(PowerAttentionError) {
        guard status != 0 else { return }
        throw failure(status, call())
    }

    func failure(_ status: Status, _ call: String) -> PowerAttentionError {
        let name = errorName(status) ?? "CUDA error \(status)"
        let text = errorText(status).map { " (\($0))" } ?? ""
        return PowerAttentionError(.device, argument: call, given: name + text, expected: "success")
    }
}
