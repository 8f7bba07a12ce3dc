import BackendInterface
import CKernels
import Foundation
import Tensors

/// Everything about one call that depends on the data's magnitudes and gates, computed once before the passes.
///
/// The p-th power leaves float32's range before the inputs do, so queries and keys are scaled by powers of two, which is exact:
/// every query row by its own, every chunk's keys by the largest so far. Rows and chunks of ordinary magnitude keep the factor
/// one. The normalizer divides the factors out; without it they are multiplied back at the end, in double.
final class AttentionScales: @unchecked Sendable {
    /// Inclusive cumulative log-gates from the start of each token's chunk, `[h, tokens]`, or `nil`.
    let gates: UnsafeMutablePointer<Double>?
    /// 2^−a per query row `[tokens, hq]`.
    let rowScale: UnsafeMutablePointer<Float>
    /// The exponent of the keys of every chunk: `[sequences][h, chunks]`.
    private(set) var keyExponents: [[Int32]]
    /// The exponent of the state before the first chunk: `[sequences, h]`.
    let initialExponents: [Int32]
    let chunkCounts: [Int]

    private let keyHeads: Int
    private let degree: Int

    /// A gate below this forgets everything in float32, as −∞ does; a finite stand-in keeps differences of sums free of NaN.
    static let closedGate = -1000.0
    /// Magnitudes between 2^−6 and 2^6 are left alone: even at degree 4 and width 256 nothing overflows.
    private static let ordinary: ClosedRange<Int32> = -6...6
    /// 2^119 times the largest ordinary number is still a float32; smaller exponents count as this one.
    private static let smallest: Int32 = -119

    init(_ problem: AttentionProblem, q: UnsafePointer<Float>, k: UnsafePointer<Float>, logG: Tensor?, initial: ExpandedState?)
    {
        let (tokens, queryHeads, keyHeads) = (problem.tokenCount, problem.queryHeads, problem.keyHeads)
        self.keyHeads = keyHeads
        degree = problem.degree ?? 0
        chunkCounts = problem.sequences.map { ($0.count + problem.chunkSize - 1) / problem.chunkSize }
        rowScale = .allocate(capacity: max(1, tokens * queryHeads))
        if let logG {
            let gates = UnsafeMutablePointer<Double>.allocate(capacity: max(1, tokens * keyHeads))
            let source = logG.pointer(to: Float.self)
            for sequence in problem.sequences {
                for head in 0..<keyHeads {
                    var sum = 0.0
                    for (index, token) in sequence.enumerated() {
                        if index % problem.chunkSize == 0 { sum = 0 }
                        sum += max(Self.closedGate, Double(source[token * keyHeads + head]))
                        gates[head * tokens + token] = sum
                    }
                }
            }
            self.gates = gates
        } else {
            gates = nil
        }
        let sequenceCount = problem.sequences.count
        let exponents = initial?.exponent.array(of: Int32.self)
        initialExponents = exponents ?? [Int32](repeating: 0, count: sequenceCount * keyHeads)
        keyExponents = chunkCounts.map { [Int32](repeating: 0, count: $0 * keyHeads) }

        guard problem.degree != nil else {
            rowScale.update(repeating: 1, count: tokens * queryHeads)
            return
        }
        let (rows, width) = (Shared(rowScale), problem.keyWidth)
        let (sharedQ, sharedK) = (SharedReadOnly(q), SharedReadOnly(k))
        let slice = 1024
        parallelFor((tokens * queryHeads + slice - 1) / slice) { index in
            for row in index * slice..<min(tokens * queryHeads, (index + 1) * slice) {
                let exponent = Self.exponent(largest_magnitude(sharedQ.pointer + row * width, width)) ?? 0
                rows.pointer[row] = exponent == 0 ? 1 : Float(sign: .plus, exponent: -Int(exponent), significand: 1)
            }
        }
        for (index, sequence) in problem.sequences.enumerated() {
            let chunks = chunkCounts[index]
            guard chunks > 0 else { continue }
            var own = [Int32](repeating: 0, count: keyHeads * chunks)
            own.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                let result = Shared(base)
                parallelFor(chunks) { chunk in
                    let range = problem.chunk(chunk, of: sequence)
                    for head in 0..<keyHeads {
                        var largest: Float = 0
                        for token in range {
                            largest = max(
                                largest, largest_magnitude(sharedK.pointer + (token * keyHeads + head) * width, width))
                        }
                        result.pointer[head * chunks + chunk] = Self.exponent(largest) ?? Int32.min
                    }
                }
            }
            for head in 0..<keyHeads {
                let entry = index * keyHeads + head
                var state = initial.flatMap { Self.isZero($0, entry: entry) ? nil : initialExponents[entry] }
                for chunk in 0..<chunks {
                    let ownExponent = own[head * chunks + chunk]
                    let exponent = ownExponent == .min ? state ?? 0 : max(ownExponent, state ?? .min)
                    keyExponents[index][head * chunks + chunk] = exponent
                    state = exponent
                }
            }
        }
    }

    deinit {
        rowScale.deallocate()
        gates?.deallocate()
    }

    /// Whether the state of one sequence and head is that before the first token.
    private static func isZero(_ state: ExpandedState, entry: Int) -> Bool {
        let dimension = state.z.shape[2]
        let block = dimension * state.S.shape[3]
        return largest_magnitude(state.z.pointer(to: Float.self) + entry * dimension, dimension) == 0
            && largest_magnitude(state.S.pointer(to: Float.self) + entry * block, block) == 0
    }

    /// The exponent of a magnitude, 0 where it is ordinary (or not finite), `nil` for zero.
    private static func exponent(_ magnitude: Float) -> Int32? {
        guard magnitude != 0 else { return nil }
        guard magnitude.isFinite else { return 0 }
        let exponent = Int32(magnitude.exponent)
        return ordinary.contains(exponent) ? 0 : max(exponent, smallest)
    }

    /// exp of the sum of a chunk's log-gates.
    func chunkDecay(chunk: Range<Int>, head: Int, tokens: Int) -> Float {
        guard let gates, let last = chunk.last else { return 1 }
        return Float(exp(gates[head * tokens + last]))
    }

    /// The exponent of the keys of a chunk, and of the state after it.
    func keyExponent(sequence: Int, head: Int, chunk: Int) -> Int32 {
        chunk < 0
            ? initialExponents[sequence * keyHeads + head]
            : keyExponents[sequence][head * chunkCounts[sequence] + chunk]
    }

    /// 2^(p(E_before − E_after)): what the state is multiplied by to be in the scale of the chunk.
    func carry(sequence: Int, head: Int, chunk: Int) -> Float {
        let change =
            keyExponent(sequence: sequence, head: head, chunk: chunk - 1)
            - keyExponent(sequence: sequence, head: head, chunk: chunk)
        return change == 0 ? 1 : powerOfTwo(degree * Int(change))
    }

    /// 2^−E for the keys of a chunk.
    func keyScale(sequence: Int, head: Int, chunk: Int) -> Float {
        powerOfTwo(-Int(keyExponent(sequence: sequence, head: head, chunk: chunk)))
    }
}

/// 2^n, saturating at the ends of the range.
func powerOfTwo(_ exponent: Int) -> Float {
    Float(sign: .plus, exponent: min(127, max(-160, exponent)), significand: 1)
}

extension AttentionProblem {
    /// The tokens of one chunk of a sequence.
    func chunk(_ index: Int, of sequence: Range<Int>) -> Range<Int> {
        let start = sequence.lowerBound + index * chunkSize
        return start..<min(start + chunkSize, sequence.upperBound)
    }
}
