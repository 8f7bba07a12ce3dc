import BackendInterface
package import CUDARuntime
import Tensors

/// What ``AttentionPass`` takes of a card's memory for tensors that are there, without initial and final states. Blocks are taken in its order.
extension AttentionPlan {
    package typealias Blocks = [RecordedMemory.Block]

    private var rows: Int { problem.tokenCount * problem.queryHeads }
    private var keyRows: Int { problem.tokenCount * problem.keyHeads }
    private var chunkStates: Int { schedule.chunks.count * problem.keyHeads }
    private var elementBytes: Int { kernels.problem.precision.elementBytes }

    /// Takes what a call forward leaves for the backward pass, y among it.
    ///
    /// - Parameter byLibrary: whether a library's kernels take the place of all others.
    package func takeForward(_ memory: inout RecordedMemory, byLibrary: Bool) -> Blocks {
        let outputs = rows * problem.valueWidth
        guard !byLibrary else { return [memory.take(outputs * dataType.byteCount), memory.take(4 * rows)] }
        let pairs = problem.sequences.count * problem.keyHeads
        var kept = [memory.take(4 * (5 + pairs + 2 * chunkStates))]
        func keep(_ byteCount: Int, if isNeeded: Bool = true) {
            if isNeeded { kept.append(memory.take(byteCount)) }
        }
        let isPower = problem.degree != nil
        let isGated = kernels.problem.isGated
        keep(4 * rows, if: isPower)
        keep(4 * pairs, if: isPower)
        keep(8 * keyRows, if: isGated)
        keep(4 * keyRows, if: isGated && isPower && kernels.usesDecays)
        keep(4 * keyRows, if: !isPower && (isGated || problem.mechanism != .exponential(window: nil)))
        for count in [rows, keyRows] { keep(count * kernels.problem.width * elementBytes, if: isPower || !keepsVectors) }
        keep(keyRows * kernels.problem.valueWidth * elementBytes, if: !keepsValues)
        if let states = takeStates(&memory, reverse: false) { kept.append(states) }
        keep(outputs * dataType.byteCount)
        keep(4 * outputs, if: dataType != .float32)
        keep(4 * rows)
        return kept
    }

    /// Takes the gradients that a call back leaves as tensors of their own.
    ///
    /// - Parameters:
    ///   - placesValues: whether there is a place for the gradient of values.
    ///   - placesVectors: whether there is one for those of queries and keys, turned back.
    package func takeBackward(
        _ memory: inout RecordedMemory, byLibrary: Bool, placesValues: Bool, placesVectors: Bool
    ) -> Blocks {
        let bytes = dataType.byteCount
        let (queries, keys, values) = (
            rows * problem.keyWidth * bytes, keyRows * problem.keyWidth * bytes, keyRows * problem.valueWidth * bytes
        )
        guard !byLibrary else {
            let gradients = [queries, keys, values].map { memory.take($0) }
            memory.release([memory.take(4 * rows), memory.take(4 * rows * problem.keyWidth)])
            return gradients
        }
        var (gradients, held) = (Blocks(), Blocks())
        let isTurned = placesVectors && turnsGradients
        held.append(memory.take(4 * rows))
        if !kernels.queriesBringOffsets, !keepsValues {
            held.append(memory.take(rows * kernels.problem.valueWidth * elementBytes))
        }
        held.append(memory.take(4 * (2 + chunkStates)))
        if !isTurned { gradients.append(memory.take(queries)) }
        if needsRowSums { held.append(memory.take(4 * kernels.backwardQueriesParts * rows)) }
        if let states = takeStates(&memory, reverse: true) { held.append(states) }
        if !isTurned { gradients.append(memory.take(keys)) }
        if !placesValues { gradients.append(memory.take(values)) }
        if kernels.problem.isGated {
            held.append(memory.take(4 * kernels.backwardKeysParts * keyRows))
            gradients.append(memory.take(4 * keyRows))
            if hasChunks { held += [memory.take(8 * chunkStates), memory.take(4 * chunkStates)] }
        }
        memory.release(held)
        return gradients
    }

    /// The states of a walk over the chunks.
    private func takeStates(_ memory: inout RecordedMemory, reverse: Bool) -> RecordedMemory.Block? {
        guard hasChunks, let degree = problem.degree, let configuration = kernels.states(reverse: reverse) else { return nil }
        let features = FeatureBlocks.count(degree: degree, width: problem.keyWidth)
        let states = memory.take(chunkStates * kernels.stateNumbers(features) * elementBytes)
        guard configuration.isSplit else { return states }
        // Sums of single chunks are in float32.
        let count = schedule.sums(reverse: reverse, wantsEnd: false).chunks.count * problem.keyHeads
        memory.release([memory.take(4 * count * features * (kernels.problem.valueWidth + 8))])
        return states
    }
}
