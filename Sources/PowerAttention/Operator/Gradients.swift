public import Tensors

extension AttentionOperator {
    /// The gradients of one call, in the shapes of what they belong to.
    public struct Gradients: Sendable {
        /// In the type of the inputs.
        public let q, k, v: Tensor
        /// In float32 (float64 from the reference), where there are gates.
        public let logG: Tensor?
        /// Where there was an initial state.
        public let initialState: StateGradient?
    }

    /// The gradient with respect to the numbers of an expanded state, `S [n, h, D, e]` and `z [n, h, D]`.
    public struct StateGradient: Sendable {
        public var S: Tensor
        public var z: Tensor

        public init(S: Tensor, z: Tensor) {
            self.S = S
            self.z = z
        }
    }
}
