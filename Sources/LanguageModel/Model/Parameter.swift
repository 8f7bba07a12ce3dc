public import Tensors

/// A trained tensor of a model: its value, the sum of its gradients, and its name in checkpoints.
public final class Parameter {
    /// Unique within the model and stable across versions, for example `blocks.0.mixer.query.weight`.
    public let name: String
    public package(set) var value: Tensor
    /// Whether weight decay applies: to matrices, embeddings among them, not to biases and the weights of norms.
    public let decays: Bool
    /// `nil` while there is none: a model that only generates needs no memory for gradients.
    private var gradientSum: Tensor?

    package init(name: String, value: Tensor, decays: Bool) {
        self.name = name
        self.value = value
        self.decays = decays
    }

    /// The sum of the gradients since they were last zeroed, in the shape and type of the value.
    public package(set) var gradient: Tensor {
        get { gradientSum ?? Tensor(value.shape, value.dataType) }
        // Kernels add to the sum in place; get and set would copy it.
        _modify {
            if gradientSum == nil { gradientSum = Tensor(value.shape, value.dataType) }
            yield &gradientSum!
        }
    }

    package func zeroGradient() {
        guard gradientSum != nil else { return }
        let bytes = gradientSum!.mutablePointer(to: UInt8.self)
        let shared = Shared(bytes)
        let (count, run) = (gradientSum!.storage.byteCount, 1 << 18)
        parallelFor((count + run - 1) / run) { index in
            (shared.pointer + index * run).update(repeating: 0, count: min(run, count - index * run))
        }
    }
}
