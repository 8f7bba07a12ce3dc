/// Curves over two axes, drawn as SVG.
package struct LineChart: Sendable {
    /// What the chart shows, in one sentence: read out instead of the picture.
    package var summary: String
    package var x: Axis
    package var y: Axis
    /// The y axis once more in another unit, on the right.
    package var secondY: Axis?
    package var series: [Series]
    /// How a value of x is named in tooltips.
    package var nameOfX: @Sendable (Double) -> String

    /// Whether some points lie above the plot.
    package var isCut: Bool {
        series.contains { $0.style.mark != .background && $0.points.contains { $0.y > y.scale.domain.upperBound } }
    }

    package init(
        summary: String, x: Axis, y: Axis, secondY: Axis? = nil, series: [Series],
        nameOfX: @escaping @Sendable (Double) -> String
    ) {
        self.summary = summary
        self.x = x
        self.y = y
        self.secondY = secondY
        self.series = series
        self.nameOfX = nameOfX
    }
}
