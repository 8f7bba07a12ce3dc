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
