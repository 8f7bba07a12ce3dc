import BackendInterface
package import CUDARuntime
import Synchronization
package import Tensors

/// The operator on an NVIDIA card. Tensors in its memory stay there, and calls with them only queue work; those in host memory go over,
/// and results come back.
package final class CUDABackend: AttentionBackend {
    package let context: CUDAContext
    private let features = Mutex<[SymmetricPower: DeviceFeatures]>([:])
    let passes = Mutex<[PassKey: AttentionPass]>([:])
    let steps = Mutex<[PassKey: StepPass]>([:])
    private let bfloat16Layers = Mutex<CUDALayers?>(nil)

    package init(_ context: CUDAContext) { self.context = context }

    private static let first = Mutex<CUDABackend?>(nil)

    /// The backend on the first card.
    ///
    /// - Throws: `PowerAttentionError` where there is no card that can run the kernels, or no driver.
    package static func shared() throws(PowerAttentionError) -> CUDABackend {
        if let backend = first.withLock({ $0 }) { return backend }
        let context = try CUDAContext.card()
        guard context.properties.major >= 8 else {
            throw PowerAttentionError(
                .unsupported, argument: "device",
                given: "\(context.properties.name), compute capability \(context.properties.computeCapability)",
                expected: "8.0 or newer: the kernels need tensor cores for bfloat16")
        }
        let backend = CUDABackend(context)
        return first.withLock { first in
            if let first { return first }
            first = backend
            return backend
        }
    }

    /// The layers of language models on this card.
    ///
    /// - Throws: `unsupported` where there is no cuBLASLt.
    package func layers() throws(PowerAttentionError) -> CUDALayers {
        try bfloat16Layers.withLock { layers throws(PowerAttentionError) in
            if let layers { return layers }
            let made = try CUDALayers(context, library: .system())
            layers = made
            return made
        }
    }

    /// The tables of a power, kept because tokens that come one by one need them every time.
    func features(_ power: SymmetricPower) throws(PowerAttentionError) -> DeviceFeatures {
        if let known = features.withLock({ $0[power] }) { return known }
        guard power.dimension <= Int(Int32.max) / 2 else {
            throw PowerAttentionError(
                .unsupported, argument: "state", given: "\(power.dimension) features",
                expected: "at most \(Int32.max / 2) on a GPU")
        }
        let tables = try DeviceFeatures(power, context)
        features.withLock { features in
            if features.count >= 8 { features.removeAll() }
            features[power] = tables
        }
        return tables
    }
}
