public import BackendInterface
public import Tensors

extension AttentionConfiguration {
    /// Checks everything that can be checked without tensors.
    ///
    /// - Throws: `PowerAttentionError` that names the first field at fault: a degree outside 1…4, an odd degree with sum
    ///   normalization, a scale that is not a positive number, a chunk size, tile or window below 1, exponential attention
    ///   without normalization or in a form that needs a state.
    public func validate() throws(PowerAttentionError) {
        switch mechanism {
        case .power(let degree):
            guard (1...4).contains(degree) else {
                throw PowerAttentionError(argument: "degree", given: "\(degree)", expected: "1, 2, 3 or 4")
            }
            if normalization == .sum && !degree.isMultiple(of: 2) {
                throw PowerAttentionError(
                    argument: "normalization", given: "sum with degree \(degree)",
                    expected: "none: the weights of an odd power are signed, their sum can be zero")
            }
        case .exponential(let window):
            try Self.checkPositive(window, "window")
            if normalization == .none {
                throw PowerAttentionError(
                    argument: "normalization", given: "none with exponential attention", expected: "sum")
            }
            if form == .chunked || form == .recurrent {
                throw PowerAttentionError(
                    argument: "form", given: "\(form.rawValue) with exponential attention",
                    expected: "auto or attention: an exponential has no state of constant size")
            }
        }
        if let scale, !(scale > 0 && scale.isFinite) {
            throw PowerAttentionError(argument: "scale", given: "\(scale)", expected: "a positive number, or none for 1/√d")
        }
        try Self.checkPositive(chunkSize, "chunk size")
        try Self.checkPositive(tile, "tile")
    }

    private static func checkPositive(_ value: Int?, _ argument: String) throws(PowerAttentionError) {
        if let value, value < 1 {
            throw PowerAttentionError(argument: argument, given: "\(value)", expected: "at least 1")
        }
    }
}
