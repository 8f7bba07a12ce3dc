/// Seconds since it was made, on a clock that does not jump, after those of earlier parts of the run.
struct Stopwatch {
    private let start = ContinuousClock.now
    private let secondsBefore: Double

    init(secondsBefore: Double) { self.secondsBefore = secondsBefore }

    var seconds: Double { secondsBefore + (ContinuousClock.now - start) / .seconds(1) }
}
