import BackendInterface
package import CUDABackend
import CUDARuntime
import LanguageModel
import PowerAttention
package import Tensors

/// What a training run takes of a card's memory, reckoned from the configuration and from the kernels that the card runs.
package struct DeviceMemoryEstimate: Sendable, Hashable {
    /// Parameters, their copies in bfloat16, gradients and moments.
    package let parameters: Int
    /// What a recorded step holds: what the forward pass keeps for the backward pass, logits, and the backward pass of a block.
    package let step: Int
    /// The losses of held-out windows, beside the recorded step.
    package let evaluation: Int
    /// Tokens, the angles of rotary positions, and the workspace of matrix products.
    package let others: Int

    package var total: Int { parameters + step + evaluation + others }

    /// - Parameters:
    ///   - heldOut: the windows that are scored during the run, and their tokens.
    ///   - usesLibrary: whether a library's kernels serve a plan.
    /// - Throws: `unsupported` where the card cannot serve the operator.
    package init(
        _ configuration: RunConfiguration, on card: CardLimits, heldOut: (windows: Int, context: Int)? = nil,
        usesLibrary: (AttentionPlan) throws(PowerAttentionError) -> Bool = { _ in false }
    ) throws(PowerAttentionError) {
        let (model, training) = (configuration.model, configuration.training)
        func memory(_ sequences: Int, _ length: Int) throws(PowerAttentionError) -> ModelMemory {
            let plan = try Self.plan(model, sequences: sequences, length: length, card)
            return ModelMemory(model, plan, usesLibrary: try usesLibrary(plan), on: card)
        }
        let sequences = training.batchSize / training.accumulation
        var recorded = try memory(sequences, training.context)
        recorded.train(recomputation: training.recomputation)
        step = recorded.memory.held
        if let heldOut {
            var evaluated = try memory(min(heldOut.windows, Evaluator.windowsAtOnce(heldOut.context)), heldOut.context)
            evaluated.evaluate()
            evaluation = evaluated.memory.peak
        } else {
            evaluation = 0
        }
        parameters = Self.parameters(model)
        let (tokens, angles) = (4 * sequences * training.context, 2 * training.context * model.keyWidth)
        others = 2 * [tokens, angles].map(RecordedMemory.blockBytes).reduce(0, +) + MatrixProducts.workspaceBytes
    }

    private static func plan(
        _ model: ModelConfiguration, sequences: Int, length: Int, _ card: CardLimits
    ) throws(PowerAttentionError) -> AttentionPlan {
        let shape = AttentionShape(
            batch: sequences, length: length, heads: model.heads, keyHeads: model.keyHeads, width: model.keyWidth)
        var problem = try AttentionOperator(model.attention, device: .cuda).problem(of: shape)
        // The recurrent form leaves nothing for a backward pass.
        if problem.form == .recurrent { problem.form = .chunked }
        return try AttentionPlan(
            problem, dataType: .bfloat16, isGated: model.gated, hasInitialState: false, hasFinalGradient: false, on: card)
    }

    private static func parameters(_ model: ModelConfiguration) -> Int {
        var total = 0
        func add(_ count: Int, bytes: Int, times: Int = 1) { total += times * RecordedMemory.blockBytes(count * bytes) }
        /// The value and two moments.
        func state(_ count: Int) { add(count, bytes: 4, times: 3) }
        /// The gradient and the copy.
        func operand(_ count: Int) {
            add(count, bytes: 4)
            add(count, bytes: 2)
        }
        func matrix(_ rows: Int, _ columns: Int) {
            state(rows * columns)
            operand(CUDALayers.aligned(rows) * columns)
        }
        func vector(_ count: Int) {
            state(count)
            operand(count)
        }
        func norm() { for _ in 0..<(model.norm == .layerNorm ? 2 : 1) { vector(model.width) } }

        for _ in 0..<(model.tiedEmbeddings ? 1 : 2) { matrix(model.vocabularySize, model.width) }
        let (queries, keys) = (model.heads * model.keyWidth, model.keyHeads * model.keyWidth)
        let hidden = model.hiddenWidth * (model.mlp == .swiglu ? 2 : 1)
        let stacked = [queries, keys, keys] + (model.gated ? [model.keyHeads] : [])
        for _ in 0..<model.layers {
            for rows in stacked { state(rows * model.width) }
            operand(stacked.map(CUDALayers.aligned).reduce(0, +) * model.width)
            matrix(model.width, queries)
            matrix(hidden, model.width)
            matrix(model.width, model.hiddenWidth)
            norm()
            norm()
            if model.gated { vector(model.keyHeads) }
            for count in model.biases ? [queries, keys, keys, model.width, hidden, model.width] : [] { vector(count) }
        }
        norm()
        return total
    }
}
