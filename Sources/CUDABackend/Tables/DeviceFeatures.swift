import BackendInterface
import CUDARuntime
import Tensors

/// The features of a symmetric power, as tables in the memory of the card.
final class DeviceFeatures: Sendable {
    let power: SymmetricPower
    /// The number of features inside, those of coefficient zero included.
    let count: Int
    let blocks, coefficients: DeviceMemory
    /// In the order outside: the place inside, the indices of the factors, a byte each, and the coefficients.
    let `internal`, factors, externalCoefficients: DeviceMemory
    /// The features outside that are the same monomial as a feature inside, all in one list, and where in it those of each start.
    let memberStarts, members: DeviceMemory

    init(_ power: SymmetricPower, _ context: CUDAContext) throws(PowerAttentionError) {
        let features = FeatureBlocks(power)
        self.power = power
        count = features.count
        // Kernels read eight words at a time.
        blocks = try context.upload(features.blocks + [UInt32](repeating: 0, count: (8 - features.blocks.count % 8) % 8))
        coefficients = try context.upload(features.coefficients)
        `internal` = try context.upload(features.internal)
        factors = try context.upload(features.factors)
        externalCoefficients = try context.upload(features.externalCoefficients)
        memberStarts = try context.upload(features.memberStarts)
        members = try context.upload(features.members)
    }

    var blockCount: Int { count / FeatureBlocks.size }
}
