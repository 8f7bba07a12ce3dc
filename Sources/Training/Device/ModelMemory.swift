import BackendInterface
import CUDABackend
import CUDARuntime
import LanguageModel
import Tensors

/// What passes over a model take of a card's memory: the blocks that its layers ask for, in their order.
///
/// Follows ``LanguageModel/accumulateGradients(_:targets:_:scale:)``, whose tensors live to the end of their scopes; `DeviceMemoryTests` holds it
/// against what a run takes.
struct ModelMemory {
    private typealias Block = RecordedMemory.Block

    private let model: ModelConfiguration
    private let plan: AttentionPlan
    private let usesLibrary: Bool
    /// Whether the head multiplies odds instead of storing logits.
    private let usesOdds: Bool
    private let rows: Int
    /// What is kept of hidden units before their activation.
    private let hiddenBytes: Int
    private(set) var memory = RecordedMemory()

    init(_ model: ModelConfiguration, _ plan: AttentionPlan, usesLibrary: Bool, on card: CardLimits) {
        self.model = model
        self.plan = plan
        self.usesLibrary = usesLibrary
        let rows = plan.problem.tokenCount
        hiddenBytes =
            model.mlp == .gelu && !model.biases
            ? CUDALayers.hiddenBytes(rows: rows, width: model.width, hiddenWidth: model.hiddenWidth, on: card)
            : 2 * rows * model.hiddenWidth * (model.mlp == .swiglu ? 2 : 1)
        usesOdds = CUDALayers.multipliesByTiles(.bfloat16, width: model.width, on: card)
        self.rows = rows
    }

    /// A row a token, of activations in bfloat16.
    private mutating func activations(_ width: Int) -> Block { memory.take(2 * rows * width) }
    /// The same in float32.
    private mutating func numbers(_ width: Int) -> Block { memory.take(4 * rows * width) }

    private var queryColumns: Int { model.heads * model.keyWidth }
    private var keyColumns: Int { model.keyHeads * model.keyWidth }
    private var hiddenColumns: Int { model.hiddenWidth * (model.mlp == .swiglu ? 2 : 1) }

    private mutating func norm() -> [Block] { [activations(model.width), numbers(model.norm == .layerNorm ? 2 : 1)] }

    /// What the backward pass needs of a block, its input first, and the output.
    private mutating func block(_ input: Block) -> (kept: [Block], output: Block) {
        var kept = [input] + norm()
        for (columns, heads) in [(queryColumns, model.heads), (keyColumns, model.keyHeads)] {
            kept += [activations(columns), numbers(heads)]
        }
        if model.gated { kept += [numbers(model.keyHeads), numbers(model.keyHeads)] }
        kept.append(activations(keyColumns))
        kept += plan.takeForward(&memory, byLibrary: usesLibrary)
        kept.append(activations(model.width))
        kept += norm()
        kept += [memory.take(hiddenBytes), activations(model.hiddenWidth)]
        return (kept, activations(model.width))
    }

    /// The gradients of a step's part.
    mutating func train(recomputation: Bool) {
        var stream = activations(model.width)
        var passes: [[Block]] = []
        for _ in 0..<model.layers {
            let (kept, output) = block(stream)
            if recomputation { memory.release(Array(kept.dropFirst())) }
            passes.append(recomputation ? [stream] : kept)
            stream = output
        }
        let normalized = norm()
        let (losses, headGradient) = head(trains: true)
        let gradient = activations(model.width)
        for kept in passes.reversed() {
            guard recomputation else {
                backward()
                memory.release(kept)
                continue
            }
            let (again, output) = block(kept[0])
            memory.release(output)
            backward()
            memory.release(again)
        }
        memory.release([stream, losses, gradient] + normalized + headGradient)
    }

    /// The losses of tokens.
    mutating func evaluate() {
        var stream = activations(model.width)
        for _ in 0..<model.layers {
            let (kept, output) = block(stream)
            memory.release(kept)
            stream = output
        }
        let normalized = norm()
        memory.release([head(trains: false).losses, stream] + normalized)
    }

    /// Logits, or odds, exist for some rows at a time; where those are all, their results take the place of what was made for all rows.
    private mutating func head(trains: Bool) -> (losses: Block, gradient: [Block]) {
        let losses = numbers(1)
        let gradient = trains ? [activations(model.width)] : []
        let most = max(1, Head.deviceChunkElements / model.vocabularySize)
        let parts = (rows + most - 1) / most
        let length = min(most, CUDALayers.aligned((rows + parts - 1) / parts))
        let partLosses: Block
        let others: [Block]
        if usesOdds {
            (partLosses, others) = CUDALayers.takeOdds(
                &memory, rows: length, width: model.width, vocabulary: model.vocabularySize, trains: trains)
        } else {
            others = [memory.take(2 * length * CUDALayers.aligned(model.vocabularySize))]
            partLosses = memory.take(4 * length)
        }
        let partGradient = trains ? [memory.take(2 * length * model.width)] : []
        memory.release(others)
        guard parts == 1 else {
            memory.release([partLosses] + partGradient)
            return (losses, gradient)
        }
        memory.release([losses] + gradient)
        return (partLosses, partGradient)
    }

    /// The gradients of a block; that of its output becomes that of its input in place.
    private mutating func backward() {
        var hidden = activations(model.hiddenWidth)
        if model.mlp == .swiglu {
            let both = activations(hiddenColumns)
            memory.release(hidden)
            hidden = both
        }
        let mlpInput = activations(model.width)
        memory.release(hidden)

        let mixed = activations(queryColumns)
        let stacked = [queryColumns, keyColumns, keyColumns] + (model.gated ? [model.keyHeads] : [])
        let joined = activations(stacked.map(CUDALayers.aligned).reduce(0, +))
        let placesValues = CUDALayers.aligned(keyColumns) == keyColumns
        let gradients = plan.takeBackward(
            &memory, byLibrary: usesLibrary, placesValues: placesValues,
            placesVectors: placesValues && CUDALayers.aligned(queryColumns) == queryColumns)
        memory.release(gradients)
        let input = activations(model.width)
        memory.release([mlpInput, joined, mixed, input])
    }
}
