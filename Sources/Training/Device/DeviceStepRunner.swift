import CUDABackend
import CUDARuntime
import LanguageModel
import Tensors

/// Training steps on a card. The first one is queued kernel by kernel; it is recorded after that, and later ones replay the recording: the
/// host copies tokens and a few numbers, and reads what a step left one step late.
final class DeviceStepRunner: StepRunner {
    private let model: LanguageModel
    private let layers: CUDALayers
    private let configuration: TrainingConfiguration
    private let update: DeviceUpdate
    private let batches: BatchPrefetcher
    private let tokens, targets: Tensor
    private let firstMoments, secondMoments: [Tensor]
    private let normNames: [String]
    /// Whether gradients of matrices are written instead of added: where a step has one part, whose recording is the same every time.
    private let overwritesGradients: Bool
    private var slots: [Slot] = []
    private var recordings: Recordings?
    private var underWay: [Begun] = []
    private var step: Int

    /// What goes over and comes back with a step.
    private struct Slot {
        let numbers, record: PinnedMemory
    }

    private final class Begun {
        let slot: Int
        let batches: [PinnedBatch]
        let end: Event

        init(slot: Int, batches: [PinnedBatch], end: consuming Event) {
            self.slot = slot
            self.batches = batches
            self.end = end
        }
    }

    /// A part of a step, and the update after all parts.
    private final class Recordings {
        let part, update: Graph

        init(part: consuming Graph, update: consuming Graph) {
            self.part = part
            self.update = update
        }
    }

    let depth = 2

    init(
        _ model: LanguageModel, _ layers: CUDALayers, _ optimizer: Optimizer, _ norms: NormHistory, _ sequence: BatchSequence,
        _ configuration: TrainingConfiguration
    ) throws(PowerAttentionError) {
        self.model = model
        self.layers = layers
        self.configuration = configuration
        step = optimizer.step
        try layers.prepare(
            width: model.configuration.width,
            headWidth: model.configuration.biases ? nil : model.configuration.keyWidth,
            gates: model.configuration.gated ? model.configuration.keyHeads : 0,
            hasGELU: model.configuration.mlp == .gelu && !model.configuration.biases,
            isCentered: model.configuration.norm == .layerNorm)
        overwritesGradients = configuration.accumulation == 1
        var (first, second): ([Tensor], [Tensor]) = ([], [])
        var entries: [DeviceUpdate.Entry] = []
        for (index, parameter) in model.parameters.enumerated() {
            try parameter.makeGradient(by: layers)
            first.append(try layers.place(optimizer.firstMoments[index]))
            second.append(try layers.place(optimizer.secondMoments[index]))
            entries.append(
                DeviceUpdate.Entry(
                    value: parameter.value, gradient: parameter.gradient, firstMoment: first[index],
                    secondMoment: second[index], copy: parameter.workingCopy, decays: parameter.decays,
                    keepsGradient: overwritesGradients && parameter.startsWithProduct))
        }
        firstMoments = first
        secondMoments = second
        let norms = (
            weights: model.parameters.filter(\.isNormWeight), history: UpdateHistory(mean: norms.mean, count: norms.count)
        )
        normNames = norms.weights.map(\.layerName)
        update = try DeviceUpdate(layers, entries, normWeights: norms.weights.map(\.value), history: norms.history)
        let count = configuration.tokensPerStep / configuration.accumulation
        tokens = try layers.uninitialized([count], .int32)
        targets = try layers.uninitialized([count], .int32)
        for _ in 0..<depth { slots.append(Slot(numbers: try update.makeNumbers(), record: try update.makeRecord())) }
        // What is under way, and as much ahead.
        var buffers: [PinnedBatch] = []
        for _ in 0..<2 * depth * configuration.accumulation {
            buffers.append(try PinnedBatch(layers.context, tokens: count))
        }
        let vocabulary = model.configuration
        batches = BatchPrefetcher(
            sequence, from: step + 1, through: configuration.steps, parts: configuration.accumulation, buffers: buffers
        ) { (batch) throws(PowerAttentionError) in
            try vocabulary.check(batch.tokens)
            try vocabulary.check(batch.targets, argument: "targets")
        }
    }

    func begin(_ step: Int) throws(PowerAttentionError) {
        let slot = step % slots.count
        try update.give(numbers(step), through: slots[slot].numbers)
        var used: [PinnedBatch] = []
        for _ in 0..<configuration.accumulation {
            let batch = try batches.next()
            try layers.context.queueCopy(batch.tokens, to: tokens.devicePointer)
            try layers.context.queueCopy(batch.targets, to: targets.devicePointer)
            used.append(batch)
            if let recordings { try layers.context.replay(recordings.part) } else { try queuePart() }
        }
        if let recordings { try layers.context.replay(recordings.update) } else { try update.queue() }
        try update.fetch(into: slots[slot].record)
        underWay.append(Begun(slot: slot, batches: used, end: try layers.context.recordEvent()))
        self.step = step
        if recordings == nil { try record() }
    }

    func finish() throws(PowerAttentionError) -> StepOutcome {
        let begun = underWay.removeFirst()
        try begun.end.wait()
        batches.recycle(begun.batches)
        let record = slots[begun.slot].record.bytes.load(as: UpdateRecord.self)
        return StepOutcome(loss: record.loss, norm: record.norm, fault: record.skipped == 0 ? nil : fault(record))
    }

    /// Queues the gradients of the tokens that are on the card.
    private func queuePart() throws(PowerAttentionError) {
        let rows = configuration.batchSize / configuration.accumulation
        let layout = try model.layout(batch: rows, length: configuration.context)
        let scale = 1 / Double(configuration.tokensPerStep)
        if overwritesGradients { model.overwriteGradients() }
        let losses = try model.accumulateGradients(tokens, targets: targets, layout, scale: scale)
        try layers.addSum(of: losses, times: scale, to: update.loss)
    }

    /// Records what was just queued. The memory that it used is free again by now, in the order of the stream; where pieces of it that do not
    /// fit are in the way, they go back to the card first.
    private func record() throws(PowerAttentionError) {
        do throws(PowerAttentionError) {
            try capture()
        } catch  where error.code == .outOfMemory {
            layers.context.releaseCachedMemory()
            try capture()
        }
    }

    private func capture() throws(PowerAttentionError) {
        let context = layers.context
        recordings = Recordings(
            part: try context.capture { () throws(PowerAttentionError) in try queuePart() },
            update: try context.capture { () throws(PowerAttentionError) in try update.queue() })
    }

    private func numbers(_ step: Int) -> UpdateNumbers {
        let corrections = Optimizer.corrections(step: step, configuration)
        return UpdateNumbers(
            learningRate: LearningRateSchedule(configuration).rate(at: step), beta1: configuration.beta1,
            beta2: configuration.beta2, epsilon: configuration.epsilon, weightDecay: configuration.weightDecay,
            firstCorrection: corrections.first, secondCorrection: corrections.second, clip: configuration.gradientClip,
            spike: configuration.spikeFactor, patience: NormHistory.patience)
    }

    private func fault(_ record: UpdateRecord) -> StepFault {
        guard !record.loss.isFinite || !record.norm.isFinite else {
            return .spike(norm: record.norm, limit: "\(configuration.spikeFactor) times that of the last ones or more")
        }
        var fault = StepFault.notFinite(loss: record.loss, norm: record.norm)
        if normNames.indices.contains(Int(record.layer)) {
            fault.first = "the input of \(normNames[Int(record.layer)])"
        } else if model.parameters.indices.contains(Int(record.parameter)) {
            fault.first = "the gradient of \(model.parameters[Int(record.parameter)].name)"
        }
        return fault
    }

    func history() throws(PowerAttentionError) -> NormHistory {
        let history = try update.currentHistory()
        return NormHistory(mean: history.mean, count: Int(history.count))
    }

    func optimizerFile() throws(PowerAttentionError) -> SafetensorsFile {
        var (first, second): ([Tensor], [Tensor]) = ([], [])
        for moment in firstMoments { first.append(try moment.onHost()) }
        for moment in secondMoments { second.append(try moment.onHost()) }
        return Optimizer(firstMoments: first, secondMoments: second, step: step).file(model.parameters)
    }

    var peakMemory: Int? { layers.context.memoryReport.peak }
}

extension Parameter {
    fileprivate var isNormWeight: Bool { name.hasSuffix("norm.weight") }

    /// `blocks.0.mixer_norm` of `blocks.0.mixer_norm.weight`.
    fileprivate var layerName: String { String(name.dropLast(".weight".count)) }
}
