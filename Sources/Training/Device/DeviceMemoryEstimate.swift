import BackendInterface
import CUDABackend
import CUDARuntime
import LanguageModel
import PowerAttention
package import Tensors

/// What a training run takes of a card's memory, reckoned from the configuration: the tensors that live at the same time when most do.
///
/// Blocks are handed out in steps of an eighth, of which half is lost on average; that is in the numbers.
package struct DeviceMemoryEstimate: Sendable, Hashable {
    /// Parameters, their copies in bfloat16, gradients and moments.
    package let parameters: Int
    /// What the forward pass keeps for the backward pass.
    package let activations: Int
    /// What lives for a short time: logits and the backward pass of a block. They come one after the other, but their blocks differ in size,
    /// and a recorded step holds all of them.
    package let scratch: Int

    package var total: Int { parameters + activations + scratch }

    private static let loss = 1.06

    package init(_ configuration: RunConfiguration) throws(PowerAttentionError) {
        let (model, training) = (configuration.model, configuration.training)
        let sequences = training.batchSize / training.accumulation
        let rows = sequences * training.context
        let (width, heads, keyHeads, headWidth) = (model.width, model.heads, model.keyHeads, model.keyWidth)
        let hidden = model.hiddenWidth * (model.mlp == .swiglu ? 2 : 1)

        // Bytes a token: activations have two a number, gates and statistics four.
        let heading = heads * headWidth
        let keys = keyHeads * headWidth
        let isPower = model.attention.mechanism.isPower
        let operatorBytes =
            2 * (heading + 2 * keys) + 6 * heading + (isPower ? 2 * (heading + keys) + 12 * heads + 4 * keyHeads : 4 * heads)
        let gateBytes = model.gated ? 20 * keyHeads : 0
        let mlpBytes = 2 * (hidden + model.hiddenWidth)
        let blockBytes = 8 * width + 16 + operatorBytes + gateBytes + mlpBytes
        let (states, stateGradients) = try Self.states(model, sequences: sequences, length: training.context)

        let block = rows * blockBytes + states
        let kept = training.recomputation ? model.layers * rows * 2 * width + block : model.layers * block
        let alignment = CUDALayers.columnAlignment
        let columns = (model.vocabularySize + alignment - 1) / alignment * alignment
        let head = 2 * min(rows * columns, max(columns, Head.deviceChunkElements)) + rows * (6 * width + 16)
        let backward =
            stateGradients
            + rows
            * max(
                2 * (2 * hidden + model.hiddenWidth) + 6 * width,
                6 * width + 2 * (3 * heading + 4 * keys + alignment) + 8 * heads)

        func lossy(_ bytes: Int) -> Int { Int(Double(bytes) * Self.loss) }
        parameters = lossy(model.parameterCount * (4 * 4 + 2))
        activations = lossy(kept + rows * (2 * width + 8) + training.context * headWidth * 4)
        scratch = lossy(head + backward) + MatrixProducts.workspaceBytes
    }

    /// The states between the chunks of one block, and their gradients.
    private static func states(
        _ model: ModelConfiguration, sequences: Int, length: Int
    ) throws(PowerAttentionError) -> (Int, Int) {
        guard case .power(let degree) = model.attention.mechanism else { return (0, 0) }
        let shape = AttentionShape(
            batch: sequences, length: length, heads: model.heads, keyHeads: model.keyHeads, width: model.keyWidth)
        let cost = try AttentionOperator(model.attention, device: .cuda).cost(of: shape)
        guard cost.form != .attention, cost.chunkSize < length else { return (0, 0) }
        let width = (model.keyWidth + 15) / 16 * 16
        let layout = SymmetricStateLayout(degree: degree, width: width, valueWidth: width)
        let features = FeatureBlocks.count(degree: degree, width: model.keyWidth) * (width + 8)
        let chunks = sequences * ((length + cost.chunkSize - 1) / cost.chunkSize)
        let bytes = 2 * chunks * model.keyHeads
        return (bytes * (layout?.prefixNumbers ?? features), bytes * (layout?.gradientNumbers ?? features))
    }
}

extension AttentionConfiguration.Mechanism {
    fileprivate var isPower: Bool { if case .power = self { true } else { false } }
}
