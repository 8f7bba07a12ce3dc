package import Training

/// The smoothed loss of a run against what it cost.
package struct Curve: Sendable {
    /// The smoothed training loss of every step.
    package let smoothed: [Double]
    /// The number of steps that a smoothed value is the mean of.
    package let window: Int
    private let steps: [StepRecord]

    /// Smooths over a thirtieth of the run.
    package init(_ run: Run) {
        let radius = run.steps.count / 60
        steps = run.steps
        window = 2 * radius + 1
        smoothed = Series.smoothed(run.steps.map(\.loss), radius: radius)
    }

    /// What the loss is drawn against.
    package enum Abscissa: String, Sendable, CaseIterable {
        case tokens, flops, seconds

        package func value(_ step: StepRecord) -> Double {
            switch self {
            case .tokens: Double(step.tokens)
            case .flops: step.flops
            case .seconds: step.seconds
            }
        }

        /// The title of the axis with a unit that suits values up to `maximum`, and that unit in ours.
        package func unit(_ maximum: Double) -> (title: String, divisor: Double) {
            let units: [(Double, String)] =
                switch self {
                case .tokens:
                    [
                        (1, "training tokens"), (1e3, "training tokens (thousands)"), (1e6, "training tokens (millions)"),
                        (1e9, "training tokens (billions)"), (1e12, "training tokens (trillions)"),
                    ]
                case .flops:
                    [(1, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P"), (1e18, "E"), (1e21, "Z")]
                        .map { ($0.0, "training compute (\($0.1)FLOP)") }
                case .seconds:
                    [
                        (1, "training time (seconds)"), (60, "training time (minutes)"), (3600, "training time (hours)"),
                        (86400, "training time (days)"),
                    ]
                }
            let unit = units.last { maximum >= 3 * $0.0 } ?? units[0]
            return (unit.1, unit.0)
        }

        /// A value in words.
        package func name(_ value: Double) -> String {
            switch self {
            case .tokens: "\(NumberFormat.grouped(Int(value))) tokens"
            case .flops: "\(NumberFormat.compact(value))FLOP"
            case .seconds: NumberFormat.duration(value)
            }
        }
    }

    package func training(_ abscissa: Abscissa) -> [Series.Point] {
        zip(steps, smoothed).map { step, loss in Series.Point(abscissa.value(step), loss) }
    }

    package func unsmoothed(_ abscissa: Abscissa) -> [Series.Point] {
        steps.map { step in Series.Point(abscissa.value(step), step.loss) }
    }

    package func heldOut(_ abscissa: Abscissa) -> [Series.Point] {
        steps.compactMap { step in step.heldOutLoss.map { Series.Point(abscissa.value(step), $0) } }
    }
}
