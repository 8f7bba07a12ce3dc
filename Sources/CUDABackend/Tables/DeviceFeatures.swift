import BackendInterface
import CUDARuntime
import Tensors

/// The features of a symmetric power, as tables in the memory of the card.
final class DeviceFeatures: Sendable {
    let power: SymmetricPower
    /// The number of features inside, those of coefficient zero included.
    let count: Int
    let blocks, coefficients, external, exchanged, `internal`: DeviceMemory
    /// In the order outside: the indices of the factors, a byte each, and the coefficients.
    let factors, factorCoefficients: DeviceMemory

    init(_ power: SymmetricPower, _ context: CUDAContext) throws(PowerAttentionError) {
        let features = FeatureBlocks(power)
        self.power = power
        count = features.count
        // Kernels read eight words at a time.
        blocks = try context.upload(features.blocks + [UInt32](repeating: 0, count: (8 - features.blocks.count % 8) % 8))
        coefficients = try context.upload(features.coefficients)
        external = try context.upload(features.external)
        exchanged = try context.upload(features.exchanged)
        `internal` = try context.upload(features.internal)
        factors = try context.upload(features.factors)
        factorCoefficients = try context.upload(features.internal.map { $0 < 0 ? 0 : features.coefficients[Int($0)] })
    }

    var blockCount: Int { count / FeatureBlocks.size }
}
