package import BackendInterface

extension AttentionConfiguration.Mechanism {
    /// p, of power attention.
    package var degree: Int? {
        if case .power(let degree) = self { degree } else { nil }
    }
}
