package import BackendInterface
import CPUBackend

/// Where the operator runs.
public enum Device: String, Sendable, Hashable, Codable, CaseIterable {
    /// The processor's own cores, in float32.
    case cpu
    /// The readable evaluation of the definition in float64: slow, quadratic, and the oracle of every test.
    case reference
}

extension Device {
    /// The one place that chooses a backend. Tensors in float64 always run on the reference.
    package func backend(for dataType: DataType) -> any AttentionBackend {
        switch self {
        case .cpu: dataType == .float64 ? ReferenceBackend() : CPUBackend()
        case .reference: ReferenceBackend()
        }
    }
}
