#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A linear warm-up followed by half a cosine (Loshchilov, Hutter 2017). With the steps numbered from 1:
///
///     η(n) = peak · n / warmup                                                   n ≤ warmup
///     η(n) = minimum + (peak − minimum) · (1 + cos(π · (n − warmup) / (steps − warmup))) / 2
///
/// so that `η(warmup) = peak`, `η(steps) = minimum`, and the rate stays at its minimum after that.
public struct LearningRateSchedule: Sendable, Hashable {
    public let peak: Double
    public let minimum: Double
    public let warmupSteps: Int
    public let steps: Int

    public init(peak: Double, minimum: Double, warmupSteps: Int, steps: Int) {
        self.peak = peak
        self.minimum = minimum
        self.warmupSteps = warmupSteps
        self.steps = steps
    }

    public init(_ configuration: TrainingConfiguration) {
        self.init(
            peak: configuration.learningRate, minimum: configuration.learningRate * configuration.minimumRatio,
            warmupSteps: configuration.warmupSteps, steps: configuration.steps)
    }

    /// The learning rate of a step; the first step is 1.
    public func rate(at step: Int) -> Double {
        if step < warmupSteps { return peak * Double(step) / Double(warmupSteps) }
        let span = steps - warmupSteps
        let progress = span > 0 ? min(1, Double(step - warmupSteps) / Double(span)) : 0
        return minimum + (peak - minimum) * (1 + cos(.pi * progress)) / 2
    }
}
