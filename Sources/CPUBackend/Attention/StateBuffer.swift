import BackendInterface
import CKernels
import Tensors

/// The running state of every sequence and key head, or its gradient: `S [n, h, D, e]` and `z [n, h, D]` in place.
struct StateBuffer: @unchecked Sendable {
    private(set) var state: ExpandedState
    let S: UnsafeMutablePointer<Float>
    let z: UnsafeMutablePointer<Float>
    let heads, dimension, valueWidth: Int

    /// A copy of `initial`, or zeros.
    init(_ problem: AttentionProblem, features: FeatureTable, initial: ExpandedState?) {
        heads = problem.keyHeads
        dimension = features.dimension
        valueWidth = problem.valueWidth
        state =
            initial
            ?? ExpandedState(
                zeros: problem.sequences.count, keyHeads: heads, dimension: dimension, valueWidth: valueWidth)
        S = state.S.mutablePointer()
        z = state.z.mutablePointer()
    }

    func matrix(sequence: Int, head: Int) -> UnsafeMutablePointer<Float> {
        S + (sequence * heads + head) * dimension * valueWidth
    }

    func normalizer(sequence: Int, head: Int) -> UnsafeMutablePointer<Float> {
        z + (sequence * heads + head) * dimension
    }

    /// Sets the exponents that the numbers in `S` and `z` have now.
    mutating func setExponents(_ exponents: [Int32]) {
        state.exponent = Tensor(state.exponent.shape, exponents)
    }
}

/// One side of a state update for one head: tokens as columns `[padded d, ld]`, right-hand sides `[tokens, padded e]`, and
/// what each token adds to z.
struct StateOperand: @unchecked Sendable {
    let columns, values, weights: UnsafeMutablePointer<Float>
    let ld: Int
    var count = 0

    init(at memory: UnsafeMutablePointer<Float>, ld: Int, paddedWidth: Int, valueWidth: Int) {
        self.ld = ld
        columns = memory
        values = memory + paddedWidth * ld
        weights = values + valueWidth * ld
    }

    static func size(ld: Int, paddedWidth: Int, valueWidth: Int) -> Int { (paddedWidth + valueWidth + 1) * ld }
}

extension AttentionOperands {
    /// `S = decay·S + φ(columns)·values`, `z = decay·z + φ(columns)·weights` for the features of blocks `blocks`: a fused
    /// product, the expansion living in a tile of 32 features by 256 tokens.
    func accumulate(
        _ operand: StateOperand, weighted: Bool, decay: Float, blocks: Range<Int>, features: FeatureTable,
        S: UnsafeMutablePointer<Float>, z: UnsafeMutablePointer<Float>
    ) {
        let (rows, span) = (FeatureTable.block, 2 * Self.lanes)
        let (e, padded) = (problem.valueWidth, paddedValueWidth)
        var workspace = Workspace(floats: rows * span, pieces: 1)
        let phi = workspace.take(rows * span)
        for block in blocks {
            let first = block * rows
            let count = min(rows, features.dimension - first)
            let (matrix, normalizer) = (S + first * e, z + first)
            if decay != 1 {
                scale_elements(matrix, decay, count * e)
                scale_elements(normalizer, decay, count)
            }
            for token in stride(from: 0, to: operand.count, by: span) {
                let present = min(span, operand.count - token)
                let width = (present + Self.lanes - 1) / Self.lanes * Self.lanes
                expand_features(
                    features.runs, features.position(ofBlock: block), count, Int32(features.power.degree),
                    operand.columns + token, operand.ld, width, weighted ? 1 : 0, phi, span)
                tile(count, e, present, phi, span, 1, operand.values + token * padded, padded, matrix, e, 1)
                combine_lanes(phi, span, count, operand.weights + token, width, normalizer)
            }
        }
    }
}
