/// Tooltips without a script: the plot is cut into upright strips, each with the values of the points in it as its title and
/// a guide that shows while the pointer is over it.
extension LineChart {
    private static let stripLimit = 72

    var tooltips: Markup {
        let shown = series.filter { $0.style.mark != .background }
        guard !shown.isEmpty else { return "" }
        let count = max(24, min(Self.stripLimit, 400 / shown.count))
        let edges = stripEdges(count)
        let strips = zip(edges, edges.dropFirst()).compactMap { strip(shown, $0, $1) }
        return "<g class=\"strips\">\(strips)</g>"
    }

    /// The edges of the strips, from 0 to 1: halfway between points where the points are few, evenly spaced otherwise.
    private func stripEdges(_ count: Int) -> [Double] {
        let places = Set(series.filter { $0.style.mark != .background }.flatMap { $0.points.map { x.scale.position($0.x) } })
            .filter { $0 >= 0 && $0 <= 1 }.sorted()
        guard places.count > count || places.isEmpty else {
            return [0] + zip(places, places.dropFirst()).map { ($0 + $1) / 2 } + [1]
        }
        return (0...count).map { Double($0) / Double(count) }
    }

    private func strip(_ shown: [Series], _ start: Double, _ end: Double) -> Markup? {
        let middle = (start + end) / 2
        let found = shown.compactMap { series -> (Series, Series.Point)? in
            nearest(in: series.points, start, end, middle).map { (series, $0) }
        }
        guard let first = found.first else { return nil }
        let place = percent(x.scale.position(first.1.x))
        let values = found.map { series, point in
            let deviation = point.deviation.map { " ± \(NumberFormat.fixed($0, digits: 3))" } ?? ""
            return "\(series.name): \(NumberFormat.fixed(point.y, digits: 3))\(deviation)"
        }
        let dots = found.map { series, point in dot(point, series.style, radius: "4.5") }
        let title = ([nameOfX(first.1.x)] + values).joined(separator: "\n")
        return """
            <g><rect x="\(percent(start))" y="0" width="\(percent(end - start))" height="100%"/>\
            <line x1="\(place)" x2="\(place)" y1="0" y2="100%"/>\(dots)<title>\(title)</title></g>
            """
    }

    /// The point between two places that is nearest to the middle.
    private func nearest(
        in points: [Series.Point], _ start: Double, _ end: Double, _ middle: Double
    ) -> Series.Point? {
        let first = points.partitioningIndex { x.scale.position($0.x) >= start }
        let inside = points[first...].prefix { x.scale.position($0.x) < end || end == 1 }
        return inside.min { abs(x.scale.position($0.x) - middle) < abs(x.scale.position($1.x) - middle) }
    }

}

extension Array {
    /// The first index whose element satisfies a predicate that is false, then true along the array; O(log n).
    fileprivate func partitioningIndex(_ predicate: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
