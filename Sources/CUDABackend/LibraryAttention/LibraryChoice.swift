package import Tensors

/// Whether exponential attention runs on cuDNN where it can, from `POWER_CUDNN`.
package enum LibraryChoice: String, Sendable, CaseIterable {
    /// Where it serves the problem; otherwise the kernels of this package do.
    case auto
    /// Never: two runs give the same bits.
    case off
    /// A problem that it is made for and does not serve, or a machine without it, is an error that says why.
    case require

    package init(environment: [String: String]) throws(PowerAttentionError) {
        let word = environment["POWER_CUDNN"] ?? Self.auto.rawValue
        guard let choice = Self(rawValue: word) else {
            throw PowerAttentionError(
                argument: "POWER_CUDNN", given: word, expected: Self.allCases.map(\.rawValue).joined(separator: ", "))
        }
        self = choice
    }
}
