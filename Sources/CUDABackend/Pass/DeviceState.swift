import BackendInterface
import CUDARuntime
import Tensors

/// A state, or the gradient of one, as the kernels hold it: `[n, h, features, padded e + 8]` in float32, the normalizer in column `padded e`.
struct DeviceState: Sendable {
    let numbers: DeviceMemory
    /// `[n, h]`, int32.
    let exponents: DeviceMemory
    /// `[n, h]`, int32: whether any number is not zero. The exponent of a state of zeros means nothing.
    let isUsed: DeviceMemory?
}

/// A state in the layout that it has outside: `S [n, h, D, e]`, `z [n, h, D]` in float32, exponents `[n, h]` in int32.
struct ExternalState: Sendable {
    let S, z, exponents: DeviceMemory

    /// - Throws: `PowerAttentionError` where the card's memory is full.
    init(_ state: ExpandedState, _ context: CUDAContext) throws(PowerAttentionError) {
        S = try context.upload(state.S.converted(to: .float32))
        z = try context.upload(state.z.converted(to: .float32))
        exponents = try context.upload(state.exponent)
    }

    init(S: DeviceMemory, z: DeviceMemory, exponents: DeviceMemory) {
        self.S = S
        self.z = z
        self.exponents = exponents
    }
}
