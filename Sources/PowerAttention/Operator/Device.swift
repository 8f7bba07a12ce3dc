package import BackendInterface
import CPUBackend
import CUDABackend
package import Tensors

/// Where the operator runs.
public enum Device: String, Sendable, Hashable, Codable, CaseIterable {
    /// The processor's own cores, in float32.
    case cpu
    /// The first NVIDIA card, sums in float32. Tensors are in host memory: they are copied to the card and back.
    case cuda
    /// The readable evaluation of the definition in float64: slow, quadratic, and the oracle of every test.
    case reference
}

extension Device {
    /// The one place that chooses a backend. Tensors in float64 always run on the reference.
    ///
    /// - Throws: `PowerAttentionError` where there is no card to run on.
    package func backend(for dataType: DataType) throws(PowerAttentionError) -> any AttentionBackend {
        if dataType == .float64 { return ReferenceBackend() }
        switch self {
        case .cpu: return CPUBackend()
        case .cuda: return try CUDABackend.shared()
        case .reference: return ReferenceBackend()
        }
    }

    /// The layers of a language model whose parameters have `dataType`.
    ///
    /// - Throws: `PowerAttentionError` where there is no card to run on, and for models in float64 on one.
    package func layerKernels(for dataType: DataType) throws(PowerAttentionError) -> any LayerKernels {
        guard self == .cuda else { return CPUBackend() }
        guard dataType == .float32 else {
            throw PowerAttentionError(
                .unsupported, argument: "dataType", given: "\(dataType) on cuda", expected: "float32")
        }
        return try CUDABackend.shared().layers()
    }

    /// The devices that this machine has.
    package static let available: [Device] = allCases.filter { (try? $0.backend(for: .float32)) != nil }
}
