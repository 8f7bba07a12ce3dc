package import BackendInterface
public import Tensors

/// A trained tensor of a model: its value, the sum of its gradients, and its name in checkpoints.
public final class Parameter {
    /// Unique within the model and stable across versions, for example `blocks.0.mixer.query.weight`.
    public let name: String
    /// In host memory, or on the device of the model.
    public package(set) var value: Tensor
    /// Whether weight decay applies: to matrices, embeddings among them, not to biases and the weights of norms.
    public let decays: Bool
    /// The value in the type of activations, where that is another one; a matrix has whole ``LayerKernels/columnAlignment`` rows, those
    /// behind the value's are zeros, so that products with it have columns as the kernels like them.
    package private(set) var workingCopy: Tensor?
    /// `nil` while there is none: a model that only generates needs no memory for gradients.
    private var sum: Tensor?
    /// Whether the first gradient of every pass back is a product.
    package var startsWithProduct = false
    /// Whether what the memory for gradients holds counts for nothing: the next product takes its place.
    private var isOutdated = false
    /// The stack that the parameter is a part of on a device, which has its gradients.
    private var place: (stack: ParameterStack, rows: Range<Int>)?

    package init(name: String, value: Tensor, decays: Bool) {
        self.name = name
        self.value = value
        self.decays = decays
    }

    /// The value as products with activations take it.
    package var operand: Tensor { workingCopy ?? value }

    /// The sum of the gradients since they were last zeroed, in the shape and type of the value.
    public package(set) var gradient: Tensor {
        get {
            if let place { return place.stack.gradientSum.rows(place.rows.prefix(value.shape[0])) }
            return gradientSum.rows(0..<value.shape[0])
        }
        set { sum = newValue }
    }

    /// The same as kernels add to it: in the rows of the operand.
    ///
    /// - Precondition: the parameter is not in a stack, to whose sum products add.
    package var gradientSum: Tensor {
        get { sum ?? Tensor(value.shape, value.dataType) }
        // Kernels add to the sum in place; get and set would copy it.
        _modify {
            precondition(place == nil, "the gradient of \(name) is a part of another")
            if sum == nil { sum = Tensor(value.shape, value.dataType) }
            yield &sum!
        }
    }
}

extension Parameter {
    /// Moves a value that is in host memory to where the kernels compute, with a copy in the type of their activations.
    func place(by kernels: any LayerKernels) throws(PowerAttentionError) {
        guard let type = kernels.activationType, !value.isOnDevice else { return }
        let host = value
        value = try kernels.place(host)
        guard type != host.dataType else { return }
        let rows = host.shape.count == 2 ? kernels.aligned(host.shape[0]) : host.shape[0]
        workingCopy = try kernels.place(host.converted(to: type).padded(toRows: rows))
    }

    /// The same for a part of a stack, which has the numbers already.
    func place(in stack: ParameterStack, _ rows: Range<Int>, by kernels: any LayerKernels) throws(PowerAttentionError) {
        place = (stack, rows)
        startsWithProduct = true
        if stack.operand.dataType == value.dataType {
            value = stack.operand.rows(rows.prefix(value.shape[0]))
        } else {
            value = try kernels.place(value)
            workingCopy = stack.operand.rows(rows)
        }
    }

    /// Takes another value, given in host memory. On a device it takes the old one's place.
    package func load(_ host: Tensor) throws(PowerAttentionError) {
        guard value.isOnDevice else { return value = host }
        try value.overwrite(with: host)
        if let workingCopy {
            try workingCopy.overwrite(with: host.converted(to: workingCopy.dataType).padded(toRows: workingCopy.shape[0]))
        }
    }

    /// Makes sure that there is memory for gradients.
    package func makeGradient(by kernels: any LayerKernels) throws(PowerAttentionError) {
        if let place { return try place.stack.makeGradient(by: kernels) }
        guard sum == nil else { return }
        var zeros = try kernels.uninitialized(operand.shape, value.dataType)
        try kernels.zero(&zeros)
        sum = zeros
    }

    /// Adds the gradient of a matrix that `x·Wᵀ` was multiplied by.
    func addProduct(_ gradient: Tensor, _ x: Tensor, by kernels: any LayerKernels) throws(PowerAttentionError) {
        try kernels.multiply(
            gradient, transposeA: true, x, transposeB: false, into: &gradientSum, accumulate: !isOutdated)
        isOutdated = false
    }

    /// Lets the next gradients take the place of those that are there, where the first of them is a product.
    func overwriteGradient() {
        if let place { return place.stack.overwriteGradient() }
        isOutdated = startsWithProduct
    }

    func zeroGradient(by kernels: any LayerKernels) throws(PowerAttentionError) {
        if let place { return try place.stack.zeroGradient(by: kernels) }
        isOutdated = false
        guard sum != nil else { return }
        try kernels.zero(&sum!)
    }
}
