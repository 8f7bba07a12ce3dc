/// One axis of a chart: its title with the unit, its scale, and the labels of its ticks.
package struct Axis: Sendable {
    package struct Tick: Sendable, Hashable {
        package let value: Double
        package let label: String
    }

    package let title: String
    package let scale: Scale
    package let ticks: [Tick]

    /// - Parameter divisor: what a value is divided by to be read in the unit of the title.
    package init(_ title: String, _ scale: Scale, ticks count: Int = 6, divisor: Double = 1) {
        self.title = title
        self.scale = scale
        let shown = Scale(scale.kind, scale.domain.lowerBound / divisor...scale.domain.upperBound / divisor).ticks(about: count)
        let digits = NumberFormat.digits(shown)
        ticks = shown.map { Tick(value: $0 * divisor, label: NumberFormat.fixed($0, digits: digits)) }
    }

    /// An axis with ticks of its own, at values of another axis' scale: the same height read in another unit.
    package init(_ title: String, of scale: Scale, ticks count: Int = 6, unit: Double) {
        self.title = title
        self.scale = scale
        let shown = Scale(.linear, scale.domain.lowerBound / unit...scale.domain.upperBound / unit).ticks(about: count)
        let digits = NumberFormat.digits(shown)
        ticks = shown.map { Tick(value: $0 * unit, label: NumberFormat.fixed($0, digits: digits)) }
    }
}
