package import Tensors

/// The arithmetic of an optimizer's step on the host, one parameter at a time. A device updates all parameters of a model at once.
package protocol OptimizerKernels: Sendable {
    /// Σ x², accumulated in double.
    func sumOfSquares(_ x: Tensor) -> Double

    /// One step of AdamW with decoupled weight decay (Loshchilov, Hutter 2019) on one parameter; the gradient is multiplied by
    /// `gradientScale` first. Moments have the parameter's type.
    func adamW(
        _ value: inout Tensor, gradient: Tensor, firstMoment: inout Tensor, secondMoment: inout Tensor, step: AdamWStep)
}
