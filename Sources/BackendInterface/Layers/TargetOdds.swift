package import Tensors

/// Rows of logits `l = x·Wᵀ` as odds against their targets `t`: `o_j = exp(l_j − l_t)` for every token `j` but `t` itself, whose place is 0.
///
/// With `s = Σ_j o_j` a row's loss, `−log softmax(l)[t]`, is `log(1 + s)`, and for `scale` times the sum of losses, with `f = scale / (1 + s)`,
///
///     ∂x = f (Σ_j o_j W_j − s W_t)        ∂W = Σ_rows f x ⊗ (o − s e_t)
///
/// So the products of a backward pass take odds as they are, and rows beside them are all that is left to do. Rows that are not scored have no
/// odds, and f = 0.
package struct TargetOdds: Sendable {
    /// Those of rows in the type of parameters.
    package let losses: Tensor
    /// What a backward pass needs, where one was announced.
    package let gradients: Gradients?

    package struct Gradients: Sendable {
        /// `[rows, vocabulary]`, or longer rows with zeros behind.
        package let odds: Tensor
        /// `f x`, rows in the type of activations.
        package let scaled: Tensor
        /// `f` and `−s` of rows.
        package let factors, targetFactors: Tensor
        /// The targets, 0 in rows that are not scored.
        package let tableRows: Tensor

        package init(odds: Tensor, scaled: Tensor, factors: Tensor, targetFactors: Tensor, tableRows: Tensor) {
            self.odds = odds
            self.scaled = scaled
            self.factors = factors
            self.targetFactors = targetFactors
            self.tableRows = tableRows
        }
    }

    package init(losses: Tensor, gradients: Gradients?) {
        self.losses = losses
        self.gradients = gradients
    }
}
