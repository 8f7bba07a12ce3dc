import BackendInterface
package import CUDARuntime
import Synchronization
package import Tensors

/// The operator on an NVIDIA card, for tensors in host memory: inputs go over, results come back.
///
/// What a device computes in place, without the copies, are ``AttentionPass`` and ``StepPass``.
package final class CUDABackend: AttentionBackend {
    package let context: CUDAContext
    private let features = Mutex<[SymmetricPower: DeviceFeatures]>([:])

    package init(_ context: CUDAContext) { self.context = context }

    private static let first = Mutex<CUDABackend?>(nil)

    /// The backend on the first card.
    ///
    /// - Throws: `PowerAttentionError` where there is no card, or no driver.
    package static func shared() throws(PowerAttentionError) -> CUDABackend {
        if let backend = first.withLock({ $0 }) { return backend }
        let backend = CUDABackend(try CUDAContext.card())
        return first.withLock { first in
            if let first { return first }
            first = backend
            return backend
        }
    }

    /// The tables of a power, kept because tokens that come one by one need them every time.
    func features(_ power: SymmetricPower) throws(PowerAttentionError) -> DeviceFeatures {
        if let known = features.withLock({ $0[power] }) { return known }
        let tables = try DeviceFeatures(power, context)
        features.withLock { features in
            if features.count >= 8 { features.removeAll() }
            features[power] = tables
        }
        return tables
    }
}
