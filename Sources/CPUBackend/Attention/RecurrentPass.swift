import BackendInterface
import CKernels
import Tensors

/// The recurrent form: one token after another through the state, heads side by side.
///
/// The answers of the first 16 tokens after an empty state, and after a closed gate, are taken from their inner products: a sum
/// over features of so few keys cancels where a query is nearly orthogonal to all of them, and float32 would lose digits that the
/// definition keeps.
struct RecurrentPass: @unchecked Sendable {
    let operands: AttentionOperands
    let features: FeatureTable
    let pass: QueryPass

    static let directTokens = 16

    func run(_ state: StateBuffer) {
        let problem = operands.problem
        parallelFor(problem.sequences.count * problem.keyHeads) { index in
            let (sequence, head) = (index / problem.keyHeads, index % problem.keyHeads)
            let S = state.matrix(sequence: sequence, head: head)
            let z = state.normalizer(sequence: sequence, head: head)
            for chunk in 0..<operands.scales.chunkCounts[sequence] {
                let item = ChunkItem(
                    sequence: sequence, chunk: chunk, tokens: problem.chunk(chunk, of: problem.sequences[sequence]))
                run(item, head: head, S: S, z: z)
                answerDirectly(item, head: head)
            }
        }
    }

    /// Answers the first tokens of every stretch that begins with a token that sees only itself.
    private func answerDirectly(_ item: ChunkItem, head: Int) {
        let group = operands.problem.group
        let starts = item.tokens.filter { operands.isAlone(token: $0, in: item, head: head) }
        for (index, start) in starts.enumerated() {
            let end = index + 1 < starts.count ? starts[index + 1] : item.tokens.upperBound
            let stretch = ChunkItem(
                sequence: item.sequence, chunk: item.chunk, tokens: start..<min(start + Self.directTokens, end))
            for member in head * group..<(head + 1) * group { pass.run(stretch, head: member, block: 0, state: nil) }
        }
    }

    private func run(_ item: ChunkItem, head: Int, S: UnsafeMutablePointer<Float>, z: UnsafeMutablePointer<Float>) {
        let problem = operands.problem
        let (d, e, group, padded) = (problem.keyWidth, problem.valueWidth, problem.group, features.paddedWidth)
        var workspace = Workspace(floats: (group + 1) * padded + group * (e + 2), pieces: 4)
        let queries = workspace.takeZeros(group * padded)
        let key = workspace.takeZeros(padded)
        let answer = workspace.take(group * e)
        let normalizer = UnsafeMutableRawPointer(workspace.take(2 * group)).bindMemory(to: Double.self, capacity: group)
        let carry = operands.scales.carry(sequence: item.sequence, head: head, chunk: item.chunk)
        let keyScale = operands.scales.keyScale(sequence: item.sequence, head: head, chunk: item.chunk)
        let exponent = operands.scales.keyExponent(sequence: item.sequence, head: head, chunk: item.chunk)
        var previousGate = 0.0
        for token in item.tokens {
            let source = operands.key(token: token, head: head)
            for i in 0..<d { key[i] = source[i] * keyScale }
            for member in 0..<group {
                let row = operands.query(token: token, head: head * group + member)
                let scale = operands.scales.rowScale[token * problem.queryHeads + head * group + member]
                for i in 0..<d { queries[member * padded + i] = row[i] * scale }
            }
            var decay: Float = token == item.tokens.lowerBound ? carry : 1
            if let gate = operands.gate(token: token, head: head)?.pointee {
                var gateDecay: Float = 1
                withUnsafePointer(to: gate) { relative_decay($0, previousGate, 1, 1, &gateDecay) }
                decay *= gateDecay
                previousGate = gate
            }
            answer.update(repeating: 0, count: group * e)
            normalizer.update(repeating: 0, count: group)
            recurrent_step(
                features.runs, features.runCount, Int32(features.power.degree), d, e, group, queries, padded, key,
                operands.value(token: token, head: head), decay, S, z, answer, normalizer)
            for member in 0..<group {
                store(
                    answer + member * e, normalizer[member], token: token, head: head * group + member, keyExponent: exponent)
            }
        }
    }

    private func store(
        _ answer: UnsafeMutablePointer<Float>, _ normalizer: Double, token: Int, head: Int, keyExponent: Int32
    ) {
        let problem = operands.problem
        var factor = normalizer == 0 ? 0 : 1 / normalizer
        if problem.normalization == .none {
            factor = operands.rawFactor(token: token, head: head, keyExponent: keyExponent)
        }
        pass.statistics[token * problem.queryHeads + head] = problem.normalization == .sum ? Float(factor) : 1
        let row = pass.output + token * operands.outputStride + head * problem.valueWidth
        for column in 0..<problem.valueWidth { row[column] = Float(Double(answer[column]) * factor) }
    }
}
