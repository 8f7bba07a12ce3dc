package import CUDARuntime
package import Tensors

/// AdamW over all parameters of a model on a card: two launches for the norm of the gradients and what follows from it, one for the update.
/// Nothing that changes from step to step is an argument, so that the launches can be recorded once and replayed.
package final class DeviceUpdate: Sendable {
    /// One parameter, in float32 on the card but for the copy, which has the type of activations.
    package struct Entry: Sendable {
        package let value, gradient, firstMoment, secondMoment: Tensor
        package let copy: Tensor?
        package let decays: Bool
        /// Whether the gradient stays as it is, because the next one takes its place; others are zero afterwards.
        package let keepsGradient: Bool

        package init(
            value: Tensor, gradient: Tensor, firstMoment: Tensor, secondMoment: Tensor, copy: Tensor?, decays: Bool,
            keepsGradient: Bool
        ) {
            self.keepsGradient = keepsGradient
            self.value = value
            self.gradient = gradient
            self.firstMoment = firstMoment
            self.secondMoment = secondMoment
            self.copy = copy
            self.decays = decays
        }
    }

    private let layers: CUDALayers
    private let pieceCount: Int
    private let normWeights: [Tensor]
    private let pieces, sums, decision, numbers, history, record, lossSum, flags: DeviceMemory

    /// Numbers of a piece, those of it that a block updates, and threads.
    private static let (piece, span, threads) = (4096, 2048, 256)

    /// - Parameter normWeights: the weights of the norms, in the order of the layers, that shall say where a row is not finite.
    package init(
        _ layers: CUDALayers, _ entries: [Entry], normWeights: [Tensor], history given: UpdateHistory
    ) throws(PowerAttentionError) {
        self.layers = layers
        let context = layers.context
        // A piece is what `Piece` of `layers/optimizer.cu` is.
        var pieces: [UInt64] = []
        for (index, entry) in entries.enumerated() {
            for first in stride(from: 0, to: entry.value.count, by: Self.piece) {
                pieces += [entry.value, entry.gradient, entry.firstMoment, entry.secondMoment].map {
                    $0.devicePointer.advanced(by: 4 * first).address
                }
                pieces.append(entry.copy.map { $0.devicePointer.advanced(by: $0.dataType.byteCount * first).address } ?? 0)
                let count = min(Self.piece, entry.value.count - first)
                pieces.append(
                    UInt64(index) | UInt64(count) << 32 | (entry.decays ? 1 << 48 : 0) | (entry.keepsGradient ? 1 << 56 : 0))
            }
        }
        pieceCount = pieces.count / 6
        self.normWeights = normWeights
        self.pieces = try context.upload(pieces)
        sums = try context.allocate(pieceCount, 8)
        decision = try context.allocate(8)
        numbers = try context.allocate(MemoryLayout<UpdateNumbers>.size)
        history = try context.upload([given])
        record = try context.allocate(MemoryLayout<UpdateRecord>.size)
        lossSum = try context.upload([0 as Double])
        flags = try context.upload([Int32](repeating: 0, count: normWeights.count))
        layers.watch(normWeights, flags.pointer)
    }

    deinit { layers.watch(normWeights, nil) }

    /// The mean loss of the step, to which its parts add theirs.
    package var loss: DevicePointer { lossSum.pointer }

    /// Room for what the host gives a step, and for what it gets back.
    package func makeNumbers() throws(PowerAttentionError) -> PinnedMemory {
        try layers.context.pinned(MemoryLayout<UpdateNumbers>.size)
    }

    package func makeRecord() throws(PowerAttentionError) -> PinnedMemory {
        try layers.context.pinned(MemoryLayout<UpdateRecord>.size)
    }

    /// Queues the copy of a step's numbers to the card.
    package func give(_ numbers: UpdateNumbers, through memory: PinnedMemory) throws(PowerAttentionError) {
        memory.bytes.storeBytes(of: numbers, as: UpdateNumbers.self)
        try layers.context.queueCopy(memory, to: self.numbers.pointer)
    }

    /// Queues the copy of what a step left.
    package func fetch(into memory: PinnedMemory) throws(PowerAttentionError) {
        try layers.context.queueCopy(record.pointer, to: memory)
    }

    /// What the steps so far left; waits for them.
    package func currentHistory() throws(PowerAttentionError) -> UpdateHistory {
        var result = UpdateHistory()
        let failure = withUnsafeMutableBytes(of: &result) { bytes -> PowerAttentionError? in
            do throws(PowerAttentionError) { try layers.context.copy(history.pointer, to: bytes) } catch { return error }
            return nil
        }
        if let failure { throw failure }
        return result
    }

    /// Queues the update by the gradients, which are zero afterwards unless they are kept.
    package func queue() throws(PowerAttentionError) {
        func kernel(_ function: String) -> KernelSource { layers.source("optimizer", function, vector: 1) }
        try layers.launch(
            kernel("square_sums"), grid: .init(pieceCount), threads: Self.threads,
            [.memory(pieces), .memory(sums)])
        try layers.launch(
            kernel("decide_update"), grid: .init(1), threads: 1024,
            [
                .memory(sums), .memory(pieces), .memory(numbers), .memory(lossSum), .memory(flags), .memory(history),
                .memory(decision), .memory(record), .int(pieceCount), .int(normWeights.count),
            ])
        try layers.launch(
            kernel("adamw"), grid: .init(pieceCount * (Self.piece / Self.span)), threads: Self.threads,
            [.memory(pieces), .memory(numbers), .memory(decision)])
    }
}
