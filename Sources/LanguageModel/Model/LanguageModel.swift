package import BackendInterface
import Foundation
public import PowerAttention
public import Tensors

/// A GPT with a choice of sequence mixers: token embeddings, pre-norm residual blocks of a mixer and an MLP, a final norm, and
/// a head over the vocabulary. Forward and backward passes are explicit; gradients add up in the parameters.
///
/// Parameters are named `embedding.weight`, `blocks.N.mixer_norm.*`, `blocks.N.mixer.{query,key,value,gate,output}.*`,
/// `blocks.N.mlp_norm.*`, `blocks.N.mlp.{input,output}.*`, `norm.*` and, unless tied, `head.weight`. They start as in GPT-2:
/// matrices normal with deviation 0.02, projections onto the residual stream with 0.02/√(2·layers), biases zero, norms one; gates
/// are 0.999 for every token.
///
/// ```swift
/// let model = try LanguageModel(ModelConfiguration(layers: 2, width: 64), seed: 1)
/// let loss = try model.accumulateGradients(tokens, targets: targets, batch: 4, length: 256)
/// ```
public final class LanguageModel {
    public let configuration: ModelConfiguration
    /// All parameters, in the order of the layers.
    public let parameters: [Parameter]
    /// The type of parameters, and of activations on the host: float32, or float64 to check gradients.
    public let dataType: DataType
    package let kernels: any LayerKernels
    /// Where parameters are and layers run.
    public let device: Device
    /// Whether training keeps the inputs of blocks alone, and computes what else the backward pass needs of a block when it comes to it: a
    /// quarter more work, in memory for one block's activations. The gradients are the same.
    public var recomputesBlocks = false

    let embedding: Embedding
    let blocks: [Block]
    let norm: any Norm
    let head: Head
    private var positions: RotaryPositions?

    /// A model with random parameters; the same seed gives the same bits on every machine.
    ///
    /// - Throws: `PowerAttentionError` where ``ModelConfiguration/validate()`` does, for a type other than float32 and float64,
    ///   and for a model whose parameters are larger than the machine's memory.
    public convenience init(
        _ configuration: ModelConfiguration, seed: UInt64, dataType: DataType = .float32, device: Device = .cpu
    ) throws(PowerAttentionError) {
        try self.init(configuration, .random(seed: seed, dataType), dataType, device)
    }

    /// The same on a device, with layers of one's own.
    package convenience init(
        _ configuration: ModelConfiguration, seed: UInt64, device: Device, kernels: any LayerKernels
    ) throws(PowerAttentionError) {
        try self.init(configuration, .random(seed: seed, .float32), .float32, device, kernels: kernels)
    }

    init(
        _ configuration: ModelConfiguration, _ source: ParameterSource, _ dataType: DataType, _ device: Device = .cpu,
        kernels given: (any LayerKernels)? = nil
    ) throws(PowerAttentionError) {
        try configuration.validate()
        guard dataType == .float32 || dataType == .float64 else {
            throw PowerAttentionError(argument: "dataType", given: "\(dataType)", expected: "float32 or float64")
        }
        let bytes = configuration.parameterCount.multipliedReportingOverflow(by: dataType.byteCount)
        guard !bytes.overflow, bytes.partialValue <= Int(clamping: ProcessInfo.processInfo.physicalMemory) else {
            throw PowerAttentionError(
                .unsupported, argument: "width", given: "\(configuration.parameterCount) parameters",
                expected: "a model that fits in this machine's memory")
        }
        let kernels = if let given { given } else { try device.layerKernels(for: dataType) }
        embedding = try Embedding(
            "embedding", vocabulary: configuration.vocabularySize, width: configuration.width, source, kernels)
        var blocks: [Block] = []
        for index in 0..<configuration.layers {
            blocks.append(try Block("blocks.\(index)", configuration, source, kernels, device: device))
        }
        self.blocks = blocks
        norm = try configuration.norm.layer("norm", width: configuration.width, source, kernels)
        let headWeight =
            configuration.tiedEmbeddings
            ? embedding.weight
            : try source.make(
                "head.weight", [configuration.vocabularySize, configuration.width], .normal(deviation: Linear.deviation),
                decays: true)
        head = Head(weight: headWeight, kernels)
        parameters = source.parameters
        for parameter in parameters { try parameter.place(by: kernels) }
        self.configuration = configuration
        self.dataType = dataType
        self.kernels = kernels
        self.device = device
    }

    /// The layout of a batch of sequences that start at position 0; the angles are kept for the next call.
    package func layout(batch: Int, length: Int) throws(PowerAttentionError) -> SequenceLayout {
        if positions?.cosines.shape[0] != length {
            positions = try RotaryPositions(
                0..<length, headWidth: configuration.keyWidth, base: configuration.rotaryBase, dataType
            ).placed(by: kernels)
        }
        return SequenceLayout(batch: batch, length: length, positions: positions!)
    }
}
