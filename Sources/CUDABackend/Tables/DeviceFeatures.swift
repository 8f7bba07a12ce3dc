import BackendInterface
import CUDARuntime
import Tensors

/// The features of a symmetric power, as tables in the memory of the card.
final class DeviceFeatures: Sendable {
    let power: SymmetricPower
    /// The number of features inside, those of coefficient zero included.
    let count: Int
    let blocks, coefficients, external, `internal`: DeviceMemory

    init(_ power: SymmetricPower, _ context: CUDAContext) throws(PowerAttentionError) {
        let features = FeatureBlocks(power)
        self.power = power
        count = features.count
        blocks = try context.upload(features.blocks)
        coefficients = try context.upload(features.coefficients)
        external = try context.upload(features.external)
        `internal` = try context.upload(features.internal)
    }

    var blockCount: Int { count / FeatureBlocks.size }
}
