import BackendInterface
import CUDABackend
import CUDARuntime
import Tensors
import Testing

/// What passes are expected to take of a card's memory, by the kernels that it runs.
@Suite struct PassMemoryTests {
    private static let (hopper, ampere) = (CardLimits(architecture: "sm_90a"), CardLimits(architecture: "sm_80"))

    private func plan(
        length: Int, sequences: Int = 1, keyHeads: Int = 12, chunkSize: Int = 1152, on card: CardLimits
    ) throws -> AttentionPlan {
        let problem = AttentionProblem(
            mechanism: .power(degree: 2), normalization: .sum, form: .chunked, scale: 0.125, chunkSize: chunkSize, tile: 8,
            sequences: (0..<sequences).map { $0 * length..<($0 + 1) * length }, tokenCount: sequences * length,
            queryHeads: 12, keyHeads: keyHeads, keyWidth: 64, valueWidth: 64)
        return try AttentionPlan(
            problem, dataType: .bfloat16, isGated: true, hasInitialState: false, hasFinalGradient: false, on: card)
    }

    private func backward(_ plan: AttentionPlan, places: Bool) -> (gradients: Int, held: Int) {
        var memory = RecordedMemory()
        let gradients = plan.takeBackward(&memory, byLibrary: false, placesValues: places, placesVectors: places)
        return (gradients.count, memory.held)
    }

    /// Hopper's kernels leave the gradients of queries, keys and values in their places; others those of values alone. Gates have a tensor.
    @Test func gradientsThatHaveAPlaceTakeNoMemory() throws {
        let tokens = 65_536
        for (card, placed) in [(Self.hopper, 1), (Self.ampere, 3)] {
            let plan = try plan(length: tokens, on: card)
            let (with, without) = (backward(plan, places: true), backward(plan, places: false))
            #expect(with.gradients == placed && without.gradients == 4)
            #expect(without.held - with.held == (4 - placed) * tokens * 12 * 64 * 2)
        }
    }

    /// Sums of gates over chunks are of use to earlier chunks of a sequence: where each has one, there are none.
    @Test func gatesOfSingleChunksTakeNoSums() throws {
        let plan = try plan(length: 1152, sequences: 64, on: Self.hopper)
        let rows = plan.problem.tokenCount * 12
        // Offsets, what counts items and states, sums of columns, and the gradient of the gates.
        let blocks = [4 * rows, 4 * (2 + 64 * 12), 4 * rows, 4 * rows]
        #expect(backward(plan, places: true).held == blocks.map(RecordedMemory.blockBytes).reduce(0, +))
    }

    /// A chunk's sum of a state is in float32, and is let go when the sums are added up.
    @Test func sumsOfSingleChunksAreInFloat32() throws {
        let (length, chunkSize) = (65_536, 384)
        var plans: [Bool: AttentionPlan] = [:]
        for keyHeads in [1, 12] {
            let plan = try plan(length: length, keyHeads: keyHeads, chunkSize: chunkSize, on: Self.hopper)
            plans[plan.splitsStates] = plan
        }
        // One key head leaves most multiprocessors idle as long as a block walks all chunks.
        let (split, walked) = (try #require(plans[true]), try #require(plans[false]))
        func perState(_ plan: AttentionPlan) -> Int {
            var memory = RecordedMemory()
            let kept = plan.takeForward(&memory, byLibrary: false)
            let before = memory.held
            memory.release(kept)
            _ = plan.takeForward(&memory, byLibrary: false)
            #expect(memory.held == before)
            return memory.held / (plan.problem.keyHeads * ((length + chunkSize - 1) / chunkSize))
        }
        #expect(perState(split) - perState(walked) > 4 * 2080 * 65)
    }
}

extension AttentionPlan {
    fileprivate var splitsStates: Bool { sources(movesState: false).contains { $0.function == "scan_states" } }
}
