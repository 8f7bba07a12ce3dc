package import BackendInterface
import CPUBackend
import Foundation
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
    /// The type of parameters and activations: float32, or float64 to check gradients.
    public let dataType: DataType
    package let kernels: any LayerKernels

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
        _ configuration: ModelConfiguration, seed: UInt64, dataType: DataType = .float32
    ) throws(PowerAttentionError) {
        try self.init(configuration, .random(seed: seed, dataType), dataType)
    }

    init(
        _ configuration: ModelConfiguration, _ source: ParameterSource, _ dataType: DataType
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
        let kernels = CPUBackend()
        embedding = try Embedding(
            "embedding", vocabulary: configuration.vocabularySize, width: configuration.width, source, kernels)
        var blocks: [Block] = []
        for index in 0..<configuration.layers { blocks.append(try Block("blocks.\(index)", configuration, source, kernels)) }
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
        self.configuration = configuration
        self.dataType = dataType
        self.kernels = kernels
    }

    /// The layout of a batch of sequences that start at position 0; the angles are kept for the next call.
    func layout(batch: Int, length: Int) -> SequenceLayout {
        if positions?.cosines.shape[0] != length {
            positions = RotaryPositions(
                0..<length, headWidth: configuration.keyWidth, base: configuration.rotaryBase, dataType)
        }
        return SequenceLayout(batch: batch, length: length, positions: positions!)
    }
}
