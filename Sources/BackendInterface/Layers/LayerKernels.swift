package import Tensors

/// The arithmetic of a language model's layers besides the sequence mixer: what a backend implements so that models run on it.
///
/// Activations are `[rows, width]` in row-major order, one row a token, float32 or float64; all tensors of a call have one type.
/// Backward kernels *add* to parameter gradients. The same call gives the same bits every time, whatever the number of cores.
package protocol LayerKernels: Sendable {
    /// `C = A·B` or, accumulating, `C += A·B`, with `A [m, k]`, `B [k, n]`, `C [m, n]`; a transposed operand is stored the
    /// other way round.
    func multiply(
        _ a: Tensor, transposeA: Bool, _ b: Tensor, transposeB: Bool, into c: inout Tensor, accumulate: Bool)

    /// Row `r` of the result is row `tokens[r]` of `table`.
    func embed(_ tokens: [Int32], table: Tensor) -> Tensor
    /// Adds row `r` of `gradient` to row `tokens[r]` of `tableGradient`.
    func embedBackward(_ tokens: [Int32], gradient: Tensor, tableGradient: inout Tensor)

    /// `y = (x − mean) · rstd · weight + bias` with `rstd = 1/√(variance + 10⁻⁵)`; statistics are `[rows, 2]`: mean and rstd.
    func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor) -> (y: Tensor, statistics: Tensor)
    /// Writes the input's gradient or, accumulating, adds it: the residual stream's gradient takes the branch's share in place.
    func layerNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, into inputGradient: inout Tensor,
        accumulate: Bool, weightGradient: inout Tensor, biasGradient: inout Tensor)

    /// `y = x / rms · weight` with `rms = √(mean of squares + 10⁻⁵)`; statistics are `[rows]`: 1 / rms.
    func rmsNorm(_ x: Tensor, weight: Tensor) -> (y: Tensor, statistics: Tensor)
    /// Writes the input's gradient or, accumulating, adds it.
    func rmsNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, into inputGradient: inout Tensor,
        accumulate: Bool, weightGradient: inout Tensor)

    /// The Gaussian error linear unit in its tanh form (Hendrycks, Gimpel 2016).
    func gelu(_ x: Tensor) -> Tensor
    /// Turns the output's gradient into the input's, in place.
    func geluBackward(_ x: Tensor, gradient: inout Tensor)

    /// `silu(gate) · value`, where a row of `x` is `[gate, value]`; the result has half the width (Shazeer 2020).
    func swiglu(_ x: Tensor) -> Tensor
    func swigluBackward(_ x: Tensor, gradient: Tensor) -> Tensor

    /// Rotates the pairs `(i, i + d/2)` of every head of `x [rows, heads · d]` in place (Su et al. 2021); `inverse` turns back,
    /// which is the backward pass. Row `r` turns by the angles whose cosines and sines, `[length, d/2]`, are in row
    /// `r mod length`.
    func rotate(_ x: inout Tensor, cosines: Tensor, sines: Tensor, inverse: Bool)

    /// `logsigmoid(x + bias)` with `bias` one number a column.
    func logSigmoid(_ x: Tensor, bias: Tensor) -> Tensor
    /// Turns the output's gradient into the input's, in place.
    func logSigmoidBackward(_ x: Tensor, bias: Tensor, gradient: inout Tensor, biasGradient: inout Tensor)

    /// Adds `bias [width]` to every row.
    func addBias(_ x: inout Tensor, bias: Tensor)
    func addBiasBackward(gradient: Tensor, biasGradient: inout Tensor)

    /// `x += y`.
    func add(_ x: inout Tensor, _ y: Tensor)

    /// `−log softmax(logits)[target]` for every row, in the type of the logits; a negative target is not scored and gives
    /// 0. Where `gradientScale` is given, `logits` become the derivative of `gradientScale · Σ_r loss_r`; otherwise they stay.
    func crossEntropy(_ logits: inout Tensor, targets: [Int32], gradientScale: Double?) -> Tensor

    /// Σ x², accumulated in double.
    func sumOfSquares(_ x: Tensor) -> Double

    /// One step of AdamW with decoupled weight decay (Loshchilov, Hutter 2019) on one parameter; the gradient is multiplied by
    /// `gradientScale` first. Moments have the parameter's type.
    func adamW(
        _ value: inout Tensor, gradient: Tensor, firstMoment: inout Tensor, secondMoment: inout Tensor, step: AdamWStep)
}
