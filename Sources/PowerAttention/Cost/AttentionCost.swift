public import BackendInterface

/// What one call of the operator costs in one form, for all sequences and heads.
///
/// Counted are the multiplications and additions of matrix products (a multiply-add is two FLOPs); powers, exponentials and the
/// making of φ are not. A pair of tokens costs `2(d + e)` a query head: its score and its share of the output. A token costs
/// `2·D·(e + 1)` a query head for reading the state and `2·D·(e + 1)` a key head for being added to it (`2·D·e` without the
/// normalizer). All of these are *state FLOPs* in the sense of the paper (section 3.2): they involve no weights.
///
/// The backward pass has five products for every two of the forward pass: two for each of their operands, and one again,
/// because scores and states are recomputed instead of kept (as in FlashAttention).
public struct AttentionCost: Sendable, Hashable {
    public let form: AttentionConfiguration.Form
    /// The number of tokens in a chunk; in the attention form, those of the longest sequence.
    public let chunkSize: Int
    /// The number of tokens of all sequences.
    public let tokens: Int
    /// Forward FLOPs of pairs of tokens.
    public let pairFLOPs: Double
    /// Forward FLOPs of products with the expanded state.
    public let expandedFLOPs: Double
    /// The bytes of what a sequence carries from one token to the next, for all sequences and key heads, in float32: `S` and `z`,
    /// or the keys and values of the attention form.
    public let stateBytes: Double
    /// The bytes by which states are read and written in the forward pass: once a chunk, or once a token.
    public let stateTrafficBytes: Double
    /// The bytes of q, k, v and y at two bytes a number.
    public let inputOutputBytes: Double

    public var forwardFLOPs: Double { pairFLOPs + expandedFLOPs }
    public var backwardFLOPs: Double { 2.5 * forwardFLOPs }
    /// Forward and backward.
    public var trainingFLOPs: Double { forwardFLOPs + backwardFLOPs }
    public var forwardFLOPsPerToken: Double { tokens == 0 ? 0 : forwardFLOPs / Double(tokens) }

    /// - Parameters:
    ///   - initialState: every sequence starts with a state, which its first chunk reads.
    ///   - finalState: the state after the last token is wanted, so the last chunk is added to it.
    package init(
        _ problem: AttentionProblem, form: AttentionConfiguration.Form, chunkSize: Int, initialState: Bool = false,
        finalState: Bool = false
    ) {
        let (d, e) = (Double(problem.keyWidth), Double(problem.valueWidth))
        let (queryHeads, keyHeads) = (Double(problem.queryHeads), Double(problem.keyHeads))
        let dimension = Double(problem.expansion?.dimension ?? 0)
        let columns = problem.normalization == .sum ? e + 1 : e
        let longest = problem.sequences.map(\.count).max() ?? 0
        let chunk =
            switch form {
            case .recurrent: 1
            case .chunked: chunkSize
            case .attention, .automatic: max(longest, 1)
            }
        var pairs = 0.0
        var reading = 0.0
        var adding = 0.0
        var transfers = 0.0
        for sequence in problem.sequences {
            let count = sequence.count
            let chunks = count / chunk
            pairs += Double(chunks) * Self.pairs(chunk, problem.mechanism) + Self.pairs(count % chunk, problem.mechanism)
            let last = count % chunk == 0 ? min(chunk, count) : count % chunk
            reading += Double(initialState ? count : max(count - chunk, 0))
            adding += Double(finalState ? count : count - last)
            transfers += Double((count + chunk - 1) / chunk)
        }
        self.form = form
        self.chunkSize = chunk
        tokens = problem.sequences.reduce(0) { $0 + $1.count }
        pairFLOPs = 2 * (d + e) * queryHeads * pairs
        expandedFLOPs = 2 * dimension * columns * (queryHeads * reading + keyHeads * adding)
        let expandedBytes = 4 * keyHeads * dimension * (e + 1)
        let carriesState = form != .attention || initialState || finalState
        if carriesState {
            stateBytes = expandedBytes * Double(problem.sequences.count)
            stateTrafficBytes = 2 * expandedBytes * transfers
        } else {
            stateBytes = 4 * keyHeads * (d + e) * Double(tokens)
            stateTrafficBytes = 0
        }
        inputOutputBytes = 2 * Double(tokens) * (queryHeads + keyHeads) * (d + e)
    }

    /// The number of pairs (i, j) with j ≤ i among `count` tokens, within the window.
    private static func pairs(_ count: Int, _ mechanism: AttentionConfiguration.Mechanism) -> Double {
        var window = count
        if case .exponential(.some(let limit)) = mechanism { window = min(limit, count) }
        return Double(window) * Double(window + 1) / 2 + Double(count - window) * Double(window)
    }
}
