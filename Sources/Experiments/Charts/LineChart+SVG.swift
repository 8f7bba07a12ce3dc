/// Drawing. The `<svg>` is the plot area itself: places are percentages of it, text has its own size and stands in the margins
/// around, and the curves are stretched with it while their strokes are not. One drawing serves every width of the page.
extension LineChart {
    /// The extent of the curves' own coordinates along each axis.
    private static let extent = 10_000.0

    package func svg() -> Markup {
        """
        <svg class="plot" role="img" aria-label="\(summary)" xmlns="http://www.w3.org/2000/svg">\
        \(grid)\(bands)\(lines)\(dots)\(tooltips)</svg>
        """
    }

    // MARK: Axes

    private var grid: Markup {
        let horizontal = y.ticks.map { tick -> Markup in
            let place = percent(1 - y.scale.position(tick.value))
            return """
                <line class="grid" x1="0" x2="100%" y1="\(place)" y2="\(place)"/>\
                <text class="tick y" x="0" dx="-10" y="\(place)" dy=".35em">\(tick.label)</text>
                """
        }
        let second = (secondY?.ticks ?? []).map { tick -> Markup in
            let place = percent(1 - y.scale.position(tick.value))
            return "<text class=\"tick y2\" x=\"100%\" dx=\"10\" y=\"\(place)\" dy=\".35em\">\(tick.label)</text>"
        }
        let vertical = x.ticks.enumerated().map { index, tick -> Markup in
            let place = percent(x.scale.position(tick.value))
            let odd = index.isMultiple(of: 2) ? "" : " odd"
            return """
                <rect class="mark" x="\(place)" y="100%" width="1" height="5"/>\
                <text class="tick x\(odd)" x="\(place)" y="100%" dy="22">\(tick.label)</text>
                """
        }
        let secondTitle: Markup? = secondY.map {
            "<text class=\"axis y2\" x=\"100%\" dx=\"44\" y=\"0\" dy=\"-18\">\($0.title)</text>"
        }
        return """
            <g class="axes">\(horizontal)\(vertical)\(second)\
            <line class="base" x1="0" x2="100%" y1="100%" y2="100%"/>\
            <text class="axis" x="0" dx="-44" y="0" dy="-18">\(y.title)</text>\(secondTitle ?? "")\
            <text class="axis x" x="100%" y="100%" dy="42">\(x.title)</text></g>
            """
    }

    // MARK: Curves

    private var bands: Markup { stretched(series.compactMap(band)) }

    private var lines: Markup {
        let lines = series.filter { $0.style.mark != .dots && $0.points.count > 1 }
        return stretched(
            (lines.filter { $0.style.mark == .background } + lines.filter { $0.style.mark != .background }).map(line))
    }

    private func stretched(_ content: [Markup]) -> Markup {
        guard !content.isEmpty else { return "" }
        return """
            <svg width="100%" height="100%" viewBox="0 0 10000 10000" preserveAspectRatio="none">\(content)</svg>
            """
    }

    private func line(_ series: Series) -> Markup {
        let style = series.style
        let path = Self.path(series.points.map { coordinates($0.x, $0.y) })
        return """
            <path class="\(style.mark == .background ? "raw" : "line") c\(style.color % Series.Style.colors)" \
            \(Self.dash(style))d="\(path)"><title>\(series.name)</title></path>
            """
    }

    private func band(_ series: Series) -> Markup? {
        let points = series.points.compactMap { point in point.deviation.map { (point.x, point.y, $0) } }
        guard points.count > 1 else { return nil }
        let outline =
            points.map { coordinates($0.0, $0.1 + $0.2) } + points.reversed().map { coordinates($0.0, $0.1 - $0.2) }
        return "<path class=\"band c\(series.style.color % Series.Style.colors)\" d=\"\(Self.path(outline))Z\"/>"
    }

    private var dots: Markup {
        let shown = series.filter { $0.style.mark == .dots || $0.style.mark == .lineWithDots || $0.points.count == 1 }
        return Markup(joining: shown.flatMap { series in series.points.map { dot($0, series.style, radius: "3") } })
    }

    /// A dot on a point, or nothing where the point is outside of the plot.
    func dot(_ point: Series.Point, _ style: Series.Style, radius: String) -> Markup {
        let place = (x: x.scale.position(point.x), y: y.scale.position(point.y))
        guard (0...1).contains(place.x), (0...1).contains(place.y) else { return "" }
        return """
            <circle class="dot c\(style.color % Series.Style.colors)" \
            cx="\(percent(place.x))" cy="\(percent(1 - place.y))" r="\(radius)"/>
            """
    }

    /// The attribute that dashes a line, or nothing.
    static func dash(_ style: Series.Style) -> Markup {
        let dash = style.mark == .background ? "" : Series.Style.dashes[style.dash % Series.Style.dashes.count]
        return dash.isEmpty ? "" : "stroke-dasharray=\"\(dash)\" "
    }

    private func coordinates(_ x: Double, _ y: Double) -> (Int, Int) {
        (Self.coordinate(self.x.scale.position(x)), Self.coordinate(1 - self.y.scale.position(y)))
    }

    /// Whole numbers, and not so far outside that a renderer loses precision.
    private static func coordinate(_ position: Double) -> Int {
        Int((min(max(position, -2), 3) * extent).rounded())
    }

    private static func path(_ points: [(Int, Int)]) -> String {
        guard var last = points.first else { return "" }
        var path = "M\(last.0) \(last.1)l"
        for point in points.dropFirst() {
            path += "\(point.0 - last.0) \(point.1 - last.1) "
            last = point
        }
        return path
    }

    func percent(_ position: Double) -> String { NumberFormat.fixed(position * 100, digits: 2) + "%" }
}
