/// One curve of a chart: points in increasing order of x, drawn as a line, as dots, or as both, with an optional band.
package struct Series: Sendable {
    package struct Point: Sendable, Hashable {
        package let x: Double
        package let y: Double
        /// Half the height of the band around the point.
        package let deviation: Double?

        package init(_ x: Double, _ y: Double, deviation: Double? = nil) {
            self.x = x
            self.y = y
            self.deviation = deviation
        }
    }

    /// How a curve is told from the others. Colours and dashes repeat with different periods.
    package struct Style: Sendable, Hashable {
        package enum Mark: Sendable, Hashable {
            case line, dots, lineWithDots
            /// A thin, pale line without tooltips: the raw numbers behind a smoothed curve.
            case background
        }

        package var mark: Mark
        /// The place in the palette, from 0; repeats after ``colors``.
        package var color: Int
        /// The place in ``dashes``; repeats.
        package var dash: Int

        package init(_ mark: Mark, color: Int = 0, dash: Int = 0) {
            self.mark = mark
            self.color = color
            self.dash = dash
        }

        /// The number of colours of the palette.
        package static let colors = 6
        package static let dashes = ["", "7 4", "2 3", "10 3 2 3", "14 5"]
    }

    package let name: String
    package let points: [Point]
    package let style: Style

    package init(_ name: String, _ points: [Point], style: Style) {
        self.name = name
        self.points = points
        self.style = style
    }
}

extension Series {
    /// At most `limit` of the points, in their order: the first, the last, and the lowest and the highest of every one of
    /// equal stretches of the axis, so that no extreme is lost.
    ///
    /// - Complexity: O(n).
    package func downsampled(to limit: Int, along scale: Scale) -> Series {
        guard points.count > limit, limit >= 4, let first = points.first, let last = points.last else { return self }
        let stretches = (limit - 2) / 2
        var kept = [first]
        var start = 1
        let end = points.count - 1
        while start < end {
            let stretch = Self.stretch(points[start], scale, stretches)
            var (low, high, next) = (start, start, start)
            while next < end, Self.stretch(points[next], scale, stretches) == stretch {
                if points[next].y < points[low].y { low = next }
                if points[next].y > points[high].y { high = next }
                next += 1
            }
            kept.append(points[min(low, high)])
            if low != high { kept.append(points[max(low, high)]) }
            start = next
        }
        kept.append(last)
        return Series(name, kept, style: style)
    }

    private static func stretch(_ point: Point, _ scale: Scale, _ count: Int) -> Int {
        let position = scale.position(point.x)
        return position.isFinite ? min(max(Int(position.clamped(0...1) * Double(count)), 0), count - 1) : 0
    }

    /// The mean over up to `radius` neighbours on either side. At the start, where losses fall fast, the window is symmetric and
    /// so no wider than the number of points before.
    ///
    /// - Complexity: O(n).
    package static func smoothed(_ values: [Double], radius: Int) -> [Double] {
        var sums = [0.0]
        for value in values { sums.append(sums[sums.count - 1] + value) }
        return values.indices.map { index in
            let before = min(radius, index)
            let end = min(index + before, values.count - 1)
            return (sums[end + 1] - sums[index - before]) / Double(end - index + before + 1)
        }
    }
}

extension Double {
    fileprivate func clamped(_ range: ClosedRange<Double>) -> Double {
        Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }
}
