package import Tensors

/// One validated call of the operator, with every choice made: what a backend is asked to compute.
///
/// Tokens are numbered through the batch: token `s` of batch entry `b` is `b·t + s`. Each of `sequences` is a range of tokens
/// that attend only among themselves: the batch entries, or the parts of a packed batch.
package struct AttentionProblem: Sendable, Hashable {
    package var mechanism: AttentionConfiguration.Mechanism
    package var normalization: AttentionConfiguration.Normalization
    /// Resolved: never `automatic`.
    package var form: AttentionConfiguration.Form
    package var scale: Double
    package var chunkSize: Int
    package var tile: Int

    package var sequences: [Range<Int>]
    /// The number of tokens of all sequences: b·t.
    package var tokenCount: Int
    package var queryHeads: Int
    package var keyHeads: Int
    /// d, the width of queries and keys.
    package var keyWidth: Int
    /// e, the width of values and outputs.
    package var valueWidth: Int

    package init(
        mechanism: AttentionConfiguration.Mechanism, normalization: AttentionConfiguration.Normalization,
        form: AttentionConfiguration.Form, scale: Double, chunkSize: Int, tile: Int, sequences: [Range<Int>], tokenCount: Int,
        queryHeads: Int, keyHeads: Int, keyWidth: Int, valueWidth: Int
    ) {
        self.mechanism = mechanism
        self.normalization = normalization
        self.form = form
        self.scale = scale
        self.chunkSize = chunkSize
        self.tile = tile
        self.sequences = sequences
        self.tokenCount = tokenCount
        self.queryHeads = queryHeads
        self.keyHeads = keyHeads
        self.keyWidth = keyWidth
        self.valueWidth = valueWidth
    }

    /// r, the number of query heads that read one key head.
    package var group: Int { queryHeads / keyHeads }

    package var degree: Int? {
        if case .power(let degree) = mechanism { degree } else { nil }
    }
}

/// The tensors of one call: `q [b, t, hq, d]`, `k [b, t, h, d]`, `v [b, t, h, e]` of one floating-point type, and
/// `logG [b, t, h]` in float32 (float64 beside float64 inputs).
package struct AttentionInputs: Sendable {
    package var q, k, v: Tensor
    package var logG: Tensor?
    package var initialState: ExpandedState?
    /// What a backend would otherwise find out about queries and keys on a device.
    package var magnitudes: RowMagnitudes?
    /// Where the gradient of values shall go, on a device.
    package var valueGradient: RowColumns?
    /// Where those of queries and keys shall go, turned back, on a device whose kernels do that.
    package var turnedGradients: TurnedGradients?

    package init(q: Tensor, k: Tensor, v: Tensor, logG: Tensor? = nil, initialState: ExpandedState? = nil) {
        self.q = q
        self.k = k
        self.v = v
        self.logG = logG
        self.initialState = initialState
    }
}

/// The largest magnitudes of the heads of queries `[b, t, hq]` and keys `[b, t, h]`, in float32; those of NaN count as none.
package struct RowMagnitudes: Sendable {
    package let queries, keys: Tensor

    package init(queries: Tensor, keys: Tensor) {
        self.queries = queries
        self.keys = keys
    }
}

/// Columns of longer rows, one row a token, from `first` on.
package struct RowColumns: Sendable {
    package let rows: Tensor
    package let first: Int

    package init(_ rows: Tensor, from first: Int) {
        self.rows = rows
        self.first = first
    }
}

/// The gradients of queries and keys as those of what rotary positions turned: the pairs (i, i + d/2) of every head of token `n` are turned
/// back by the angles whose cosines and sines, `[length, d/2]` in float32, are in row `n mod length`.
package struct TurnedGradients: Sendable {
    package let queries, keys: RowColumns
    package let cosines, sines: Tensor

    package init(queries: RowColumns, keys: RowColumns, cosines: Tensor, sines: Tensor) {
        self.queries = queries
        self.keys = keys
        self.cosines = cosines
        self.sines = sines
    }
}

/// What the forward pass leaves for the backward pass.
package struct AttentionContext: Sendable {
    /// y `[b, t, hq, e]` before rounding to the type of the inputs: float32, or float64 from the reference.
    package var output: Tensor
    /// A number per row `[b, t, hq]` whose meaning is the backend's: the normalizer, or the log of the sum of exponentials.
    package var rowStatistics: Tensor?
    /// What else a backend keeps on its device where the inputs are there; `output` then has their type.
    package var retained: (any Sendable)?

    package init(output: Tensor, rowStatistics: Tensor?, retained: (any Sendable)? = nil) {
        self.output = output
        self.rowStatistics = rowStatistics
        self.retained = retained
    }
}

package struct AttentionResult: Sendable {
    package var context: AttentionContext
    package var finalState: ExpandedState?

    package init(context: AttentionContext, finalState: ExpandedState?) {
        self.context = context
        self.finalState = finalState
    }
}

/// Gradients in the accumulation type: float32, or float64 from the reference. Those of tensors on a device have the type of the inputs,
/// those of gates are in float32.
package struct AttentionGradients: Sendable {
    /// Each has no elements where a backend put it where the inputs asked for it.
    package var q, k, v: Tensor
    package var logG: Tensor?
    package var initialState: ExpandedState?

    package init(q: Tensor, k: Tensor, v: Tensor, logG: Tensor?, initialState: ExpandedState?) {
        self.q = q
        self.k = k
        self.v = v
        self.logG = logG
        self.initialState = initialState
    }
}
