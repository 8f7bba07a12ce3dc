/// What decides a step of the optimizer, as the kernels of `layers/optimizer.cu` read it.
package struct UpdateNumbers: Sendable, Hashable, BitwiseCopyable {
    package var learningRate, beta1, beta2, epsilon, weightDecay: Float
    /// `1 / (1 − βⁿ)` at update n.
    package var firstCorrection, secondCorrection: Float
    /// The largest norm of all gradients; zero for none.
    package var clip: Float
    /// How many times the mean norm is a spike; zero where none is.
    package var spike: Float
    /// Updates before a norm can be a spike: those of the first steps are large.
    package var patience: Int32

    package init(
        learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double, firstCorrection: Double,
        secondCorrection: Double, clip: Double, spike: Double, patience: Int
    ) {
        self.learningRate = Float(learningRate)
        self.beta1 = Float(beta1)
        self.beta2 = Float(beta2)
        self.epsilon = Float(epsilon)
        self.weightDecay = Float(weightDecay)
        self.firstCorrection = Float(firstCorrection)
        self.secondCorrection = Float(secondCorrection)
        self.clip = Float(clip)
        self.spike = Float(spike)
        self.patience = Int32(clamping: patience)
    }
}

/// What a step leaves for the host, as the kernels write it.
package struct UpdateRecord: Sendable, Hashable, BitwiseCopyable {
    /// The mean loss of the step, and the norm of all gradients before clipping.
    package var loss, norm: Double
    /// 1 where the parameters stayed as they were.
    package var skipped: Int32
    /// The first of the watched norms that met a row that is not finite, and the last parameter whose gradient is not; −1 for none.
    package var layer, parameter: Int32
    private var unused: Int32
}

/// What the steps so far leave for the next: the running mean of the norms of gradients, and the number of updates.
package struct UpdateHistory: Sendable, Hashable, BitwiseCopyable {
    package var mean: Double
    package var count: Int64

    package init(mean: Double = 0, count: Int = 0) {
        self.mean = mean
        self.count = Int64(count)
    }
}
