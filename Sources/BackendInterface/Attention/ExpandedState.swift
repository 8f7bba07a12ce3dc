package import Tensors

/// The state of power attention after some tokens, for every sequence and key head (paper, section 3):
///
///     S = Σ_j exp(G − G_j) φ(k_j) v_jᵀ      [n, h, D, e]
///     z = Σ_j exp(G − G_j) φ(k_j)           [n, h, D]
///
/// φ(k) holds the monomials of degree p of `k` with coefficient one, in the order of ``SymmetricPower``; the multinomial
/// coefficients are on the side of the query. The true state is the stored one times `2^(p·exponent)`: the exponent is zero
/// unless the keys are so large or so small that their p-th power would leave the range of float32.
package struct ExpandedState: Sendable {
    package var S: Tensor
    package var z: Tensor
    /// `[n, h]`, int32.
    package var exponent: Tensor

    package init(S: Tensor, z: Tensor, exponent: Tensor) {
        self.S = S
        self.z = z
        self.exponent = exponent
    }

    /// The state before the first token.
    package init(
        zeros sequences: Int, keyHeads: Int, dimension: Int, valueWidth: Int, dataType: DataType = .float32
    ) {
        S = Tensor([sequences, keyHeads, dimension, valueWidth], dataType)
        z = Tensor([sequences, keyHeads, dimension], dataType)
        exponent = Tensor([sequences, keyHeads], .int32)
    }
}
