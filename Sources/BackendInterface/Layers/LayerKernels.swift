package import Tensors

/// The arithmetic of a language model's layers besides the sequence mixer: what a backend implements so that models run on it.
///
/// Activations are `[rows, width]` in row-major order, one row a token, float32 or float64. Backward kernels *add* to
/// parameter gradients and *write* input gradients.
package protocol LayerKernels: Sendable {
    /// `C = A·B` or, accumulating, `C += A·B`, with `A [m, k]`, `B [k, n]`, `C [m, n]`; a transposed operand is stored the
    /// other way round.
    func multiply(
        _ a: Tensor, transposeA: Bool, _ b: Tensor, transposeB: Bool, into c: inout Tensor, accumulate: Bool)

    /// Row `r` of the result is row `tokens[r]` of `table`.
    func embed(_ tokens: [Int32], table: Tensor) -> Tensor
    /// Adds row `r` of `gradient` to row `tokens[r]` of `tableGradient`.
    func embedBackward(_ tokens: [Int32], gradient: Tensor, tableGradient: inout Tensor)

    /// `y = (x − mean) · rstd · weight + bias`; statistics are `[rows, 2]`: mean and reciprocal standard deviation.
    func layerNorm(_ x: Tensor, weight: Tensor, bias: Tensor) -> (y: Tensor, statistics: Tensor)
    func layerNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, weightGradient: inout Tensor,
        biasGradient: inout Tensor
    ) -> Tensor

    /// `y = x / rms(x) · weight`; statistics are `[rows]`: the reciprocal of the root mean square.
    func rmsNorm(_ x: Tensor, weight: Tensor) -> (y: Tensor, statistics: Tensor)
    func rmsNormBackward(
        _ x: Tensor, weight: Tensor, statistics: Tensor, gradient: Tensor, weightGradient: inout Tensor
    ) -> Tensor

    /// The Gaussian error linear unit in its tanh form (Hendrycks, Gimpel 2016).
    func gelu(_ x: Tensor) -> Tensor
    func geluBackward(_ x: Tensor, gradient: Tensor) -> Tensor

    /// `silu(gate) · value`, where a row of `x` is `[gate, value]`; the result has half the width.
    func swiglu(_ x: Tensor) -> Tensor
    func swigluBackward(_ x: Tensor, gradient: Tensor) -> Tensor

    /// Rotates the pairs `(i, i + d/2)` of every head of `x [rows, heads, d]` by the angle `position · base^(−2i/d)`, in place;
    /// `inverse` turns back, which is the backward pass.
    func rotate(_ x: inout Tensor, positions: [Int32], base: Double, inverse: Bool)

    /// `logsigmoid(x + bias)` with `bias` one number a column.
    func logSigmoid(_ x: Tensor, bias: Tensor) -> Tensor
    func logSigmoidBackward(_ x: Tensor, bias: Tensor, gradient: Tensor, biasGradient: inout Tensor) -> Tensor

    /// Adds `bias [width]` to every row.
    func addBias(_ x: inout Tensor, bias: Tensor)
    func addBiasBackward(gradient: Tensor, biasGradient: inout Tensor)

    /// `x += y`.
    func add(_ x: inout Tensor, _ y: Tensor)

    /// `−log softmax(logits)[target]` for every row, in the type of the logits; a negative target is not scored and gives
    /// 0. Where `gradientScale` is given, `logits` become the derivative of `gradientScale · Σ_r loss_r`.
    func crossEntropy(_ logits: inout Tensor, targets: [Int32], gradientScale: Double?) -> Tensor

    /// Σ x², accumulated in double.
    func sumOfSquares(_ x: Tensor) -> Double

    /// One step of AdamW with decoupled weight decay (Loshchilov, Hutter 2019) on one parameter; the gradient is multiplied by
    /// `gradientScale` first.
    func adamW(
        _ value: inout Tensor, gradient: Tensor, firstMoment: inout Tensor, secondMoment: inout Tensor, step: AdamWStep)
}

/// The numbers of one AdamW step.
package struct AdamWStep: Sendable {
    package var learningRate, beta1, beta2, epsilon, weightDecay, gradientScale: Double
    /// 1 for the first step: the exponent of the bias corrections.
    package var step: Int

    package init(
        learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, gradientScale: Double,
        step: Int
    ) {
        self.learningRate = learningRate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        self.gradientScale = gradientScale
        self.step = step
    }
}
