package import Tensors

/// The arithmetic of a language model's layers besides the sequence mixer: what a backend implements so that models run on it.
///
/// Activations are `[rows, width]` in row-major order, one row a token. On the host all tensors of a call have one type, float32 or
/// float64. On a device activations and the matrices that multiply them have the device's `activationType`; vectors of parameters, all
/// gradients of parameters, statistics, gates and losses are float32. Tensors of a call are where the backend computes.
///
/// Backward kernels *add* to parameter gradients. The same call gives the same bits every time, whatever the number of cores.
///
/// Calls throw where a device has no memory left or fails; on the host none does.
package protocol LayerKernels: Sendable {
    /// The type of activations on a device; `nil` on the host, where it is that of the parameters.
    var activationType: DataType? { get }
    /// What the number of columns of logits, and of rows of what products read as weights, should be a multiple of: see ``multiply(_:transposeA:_:transposeB:into:accumulate:)``.
    var columnAlignment: Int { get }

    /// A tensor with undefined contents where the backend computes.
    func uninitialized(_ shape: [Int], _ dataType: DataType) throws(PowerAttentionError) -> Tensor
    /// A tensor of the host where the backend computes; the tensor itself on the host.
    func place(_ host: Tensor) throws(PowerAttentionError) -> Tensor
    /// Sets all elements to zero.
    func zero(_ x: inout Tensor) throws(PowerAttentionError)
    /// Overwrites the rows from `first` on.
    func setRows(_ x: inout Tensor, from first: Int, to rows: Tensor) throws(PowerAttentionError)
    /// Overwrites some columns of every row: the first of them with `given`, those behind with zeros.
    func setColumns(_ x: inout Tensor, _ columns: Range<Int>, to given: Tensor) throws(PowerAttentionError)

    /// `C = A·B` or, accumulating, `C += A·B`, with `A [m, k]`, `B [k, n]`, `C [m, n]`; a transposed operand is stored the
    /// other way round. Where two operands disagree about an extent because rows of one were made longer for the sake of
    /// ``columnAlignment``, the smaller extent counts: the columns behind are neither read nor written.
    func multiply(
        _ a: Tensor, transposeA: Bool, _ b: Tensor, transposeB: Bool, into c: inout Tensor, accumulate: Bool
    ) throws(PowerAttentionError)

    /// Row `r` of the result is row `tokens[r]` of `table`. Tokens are int32.
    func embed(_ tokens: Tensor, table: Tensor) throws(PowerAttentionError) -> Tensor
    /// Adds row `r` of `gradient` to row `tokens[r]` of `tableGradient`.
    func embedBackward(_ tokens: Tensor, gradient: Tensor, tableGradient: inout Tensor) throws(PowerAttentionError)

    /// `y = (x − mean) · rstd · weight + bias` with `rstd = 1/√(variance + 10⁻⁵)`; statistics are `[rows, 2]`: mean and rstd.
    func layerNorm(
        _ x: Tensor, weight: Tensor, bias: Tensor
    ) throws(PowerAttentionError) -> (y: Tensor, statistics: Tensor)
    /// Writes the input's gradient or, accumulating, adds it: the residual stream's gradient takes the branch's share in place.
    func layerNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, into inputGradient: inout Tensor,
        accumulate: Bool, weightGradient: inout Tensor, biasGradient: inout Tensor) throws(PowerAttentionError)

    /// `y = x / rms · weight` with `rms = √(mean of squares + 10⁻⁵)`; statistics are `[rows]`: 1 / rms.
    func rmsNorm(_ x: Tensor, weight: Tensor) throws(PowerAttentionError) -> (y: Tensor, statistics: Tensor)
    /// Writes the input's gradient or, accumulating, adds it.
    func rmsNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, into inputGradient: inout Tensor,
        accumulate: Bool, weightGradient: inout Tensor) throws(PowerAttentionError)

    /// The Gaussian error linear unit in its tanh form (Hendrycks, Gimpel 2016).
    func gelu(_ x: Tensor) throws(PowerAttentionError) -> Tensor
    /// Turns the output's gradient into the input's, in place.
    func geluBackward(_ x: Tensor, gradient: inout Tensor) throws(PowerAttentionError)

    /// `hidden = x·Wᵀ`, or what the backend keeps of it for ``multiplyGELUBackward(_:weight:hidden:)``, and its GELU.
    func multiplyGELU(
        _ x: Tensor, weight: Tensor
    ) throws(PowerAttentionError) -> (hidden: Tensor, activated: Tensor)
    /// The gradient of `hidden`, `(gradient·W) · gelu′(hidden)`, for the gradient of `gelu(hidden)·Wᵀ`.
    func multiplyGELUBackward(
        _ gradient: Tensor, weight: Tensor, hidden: Tensor
    ) throws(PowerAttentionError) -> Tensor

    /// `silu(gate) · value`, where a row of `x` is `[gate, value]`; the result has half the width (Shazeer 2020).
    func swiglu(_ x: Tensor) throws(PowerAttentionError) -> Tensor
    func swigluBackward(_ x: Tensor, gradient: Tensor) throws(PowerAttentionError) -> Tensor

    /// Rotates the pairs `(i, i + d/2)` of every head of `x [rows, heads · d]` in place (Su et al. 2021); `inverse` turns back,
    /// which is the backward pass. Row `r` turns by the angles whose cosines and sines, `[length, d/2]`, are in row
    /// `r mod length`.
    func rotate(_ x: inout Tensor, cosines: Tensor, sines: Tensor, inverse: Bool) throws(PowerAttentionError)
    /// The same, not inverse, and the largest magnitudes of heads, `[rows, heads]` in float32, where the backend's attention asks for them:
    /// they are known here, and a kernel of its own would read all rows again.
    func rotateMeasuring(_ x: inout Tensor, cosines: Tensor, sines: Tensor) throws(PowerAttentionError) -> Tensor?
    /// Queries and keys, turned and measured, and values of `x`, by the rows of one weight, those of queries, of keys and of values; others may
    /// stand behind. `nil` where the backend has no kernel for it, or several smaller ones are better.
    func projectHeads(
        _ x: Tensor, weight: Tensor, heads: Int, keyHeads: Int, cosines: Tensor, sines: Tensor
    ) throws(PowerAttentionError) -> ProjectedHeads?
    /// Writes what ``rotate(_:cosines:sines:inverse:)`` makes of `x` to columns of `target`, and zeros where there are more of them.
    func rotate(
        _ x: Tensor, into target: inout Tensor, _ columns: Range<Int>, cosines: Tensor, sines: Tensor, inverse: Bool
    ) throws(PowerAttentionError)

    /// `projection = x·Wᵀ` with as many columns as there are biases, in their type, and `logsigmoid(projection + bias)`.
    func projectGates(
        _ x: Tensor, weight: Tensor, bias: Tensor
    ) throws(PowerAttentionError) -> (logarithms: Tensor, projection: Tensor)
    /// `logsigmoid(x + bias)` with `bias` one number a column, in the type of the bias as `x` is.
    func logSigmoid(_ x: Tensor, bias: Tensor) throws(PowerAttentionError) -> Tensor
    /// Turns the output's gradient into the input's, in the type of activations.
    func logSigmoidBackward(
        _ x: Tensor, bias: Tensor, gradient: inout Tensor, biasGradient: inout Tensor) throws(PowerAttentionError)
    /// The same, written to columns of `target`, and zeros where there are more of them.
    func logSigmoidBackward(
        _ x: Tensor, bias: Tensor, gradient: Tensor, into target: inout Tensor, _ columns: Range<Int>,
        biasGradient: inout Tensor) throws(PowerAttentionError)

    /// Adds `bias [width]` to every row.
    func addBias(_ x: inout Tensor, bias: Tensor) throws(PowerAttentionError)
    /// Adds the sums of as many columns of the gradient as there are biases, from `first` on.
    func addBiasBackward(gradient: Tensor, from first: Int, biasGradient: inout Tensor) throws(PowerAttentionError)

    /// `−log softmax(logits)[target]` for every row, in the type of the parameters, over the first `columns` logits; a negative target
    /// is not scored and gives 0. Where `gradientScale` is given, `logits` become the derivative of `gradientScale · Σ_r loss_r`, and
    /// columns behind them zeros; otherwise they stay. Targets are int32.
    func crossEntropy(
        _ logits: inout Tensor, columns: Int, targets: Tensor, gradientScale: Double?
    ) throws(PowerAttentionError) -> Tensor

    /// The same from `x` and the first `vocabulary` rows of `weight`, whose product nobody stores: for losses alone, or for the gradients of
    /// `gradientScale · Σ_r loss_r`. `nil` where the backend has no kernel for it.
    ///
    /// A token that is 2⁹⁶ times as likely as the target, or more, counts as that much.
    func targetOdds(
        _ x: Tensor, weight: Tensor, vocabulary: Int, targets: Tensor, gradientScale: Double?
    ) throws(PowerAttentionError) -> TargetOdds?
    /// Adds the targets' part to the gradient of a weight, to which `oddsᵀ · scaled` was added.
    func addTargets(_ odds: TargetOdds.Gradients, weightGradient: inout Tensor) throws(PowerAttentionError)
    /// Turns `odds · weight` into the gradient of `x`.
    func finishOddsGradient(
        _ product: inout Tensor, _ odds: TargetOdds.Gradients, weight: Tensor) throws(PowerAttentionError)
}

/// Rows of queries, keys and values, `[rows, heads · d]`.
package struct ProjectedHeads: Sendable {
    package let q, k, v: Tensor
    package let magnitudes: RowMagnitudes?

    package init(q: Tensor, k: Tensor, v: Tensor, magnitudes: RowMagnitudes?) {
        self.q = q
        self.k = k
        self.v = v
        self.magnitudes = magnitudes
    }
}

extension LayerKernels {
    /// A number of rows or columns made a multiple of ``columnAlignment``.
    package func aligned(_ count: Int) -> Int { (count + columnAlignment - 1) / columnAlignment * columnAlignment }

    package func targetOdds(
        _ x: Tensor, weight: Tensor, vocabulary: Int, targets: Tensor, gradientScale: Double?
    ) throws(PowerAttentionError) -> TargetOdds? { nil }

    package func addTargets(_ odds: TargetOdds.Gradients, weightGradient: inout Tensor) throws(PowerAttentionError) {
        preconditionFailure("a backend without odds")
    }

    package func finishOddsGradient(
        _ product: inout Tensor, _ odds: TargetOdds.Gradients, weight: Tensor
    ) throws(PowerAttentionError) {
        preconditionFailure("a backend without odds")
    }

    package func rotateMeasuring(
        _ x: inout Tensor, cosines: Tensor, sines: Tensor
    ) throws(PowerAttentionError) -> Tensor? {
        try rotate(&x, cosines: cosines, sines: sines, inverse: false)
        return nil
    }

    package func projectHeads(
        _ x: Tensor, weight: Tensor, heads: Int, keyHeads: Int, cosines: Tensor, sines: Tensor
    ) throws(PowerAttentionError) -> ProjectedHeads? { nil }

    package func rotate(
        _ x: Tensor, into target: inout Tensor, _ columns: Range<Int>, cosines: Tensor, sines: Tensor, inverse: Bool
    ) throws(PowerAttentionError) {
        var turned = x
        try rotate(&turned, cosines: cosines, sines: sines, inverse: inverse)
        try setColumns(&target, columns, to: turned)
    }

    package func logSigmoidBackward(
        _ x: Tensor, bias: Tensor, gradient: Tensor, into target: inout Tensor, _ columns: Range<Int>,
        biasGradient: inout Tensor
    ) throws(PowerAttentionError) {
        var result = gradient
        try logSigmoidBackward(x, bias: bias, gradient: &result, biasGradient: &biasGradient)
        try setColumns(&target, columns, to: result)
    }

    /// The product first, then the activation: what a backend does that has nothing better.
    package func multiplyGELU(
        _ x: Tensor, weight: Tensor
    ) throws(PowerAttentionError) -> (hidden: Tensor, activated: Tensor) {
        var hidden = try uninitialized([x.shape[0], weight.shape[0]], x.dataType)
        try multiply(x, transposeA: false, weight, transposeB: true, into: &hidden, accumulate: false)
        return (hidden, try gelu(hidden))
    }

    package func projectGates(
        _ x: Tensor, weight: Tensor, bias: Tensor
    ) throws(PowerAttentionError) -> (logarithms: Tensor, projection: Tensor) {
        var projection = try uninitialized([x.shape[0], bias.count], bias.dataType)
        try multiply(x, transposeA: false, weight, transposeB: true, into: &projection, accumulate: false)
        return (try logSigmoid(projection, bias: bias), projection)
    }

    package func multiplyGELUBackward(
        _ gradient: Tensor, weight: Tensor, hidden: Tensor
    ) throws(PowerAttentionError) -> Tensor {
        var result = try uninitialized(hidden.shape, hidden.dataType)
        try multiply(gradient, transposeA: false, weight, transposeB: false, into: &result, accumulate: false)
        try geluBackward(hidden, gradient: &result)
        return result
    }
}
