import Training

/// The charts of a report and the choice of their axes.
extension Report {
    /// The number of points of all curves of one chart, so that a page of many runs stays small.
    private static let pointBudget = 12_000
    private static let pointLimit = 1_500

    private var pointsPerCurve: Int { max(100, min(Self.pointLimit, Self.pointBudget / (2 * runs.count))) }

    /// The loss against tokens, FLOPs or seconds; `nil` where no run has steps with that number.
    func lossChart(_ curves: [Curve], _ abscissa: Curve.Abscissa) -> LineChart? {
        let all = curves.indices.flatMap { lossSeries(curves[$0], abscissa, index: $0) }
        let shown = all.filter { $0.style.mark != .background }
        guard let end = shown.flatMap(\.points).map(\.x).max(), end > 0 else { return nil }
        // The first steps fall by more than everything after them: runs are compared without that fall.
        let compared = shown.flatMap(\.points).filter { runs.count == 1 || $0.x >= 0.03 * end }.map(\.y)
        guard let low = compared.min(), let high = compared.max() else { return nil }
        let unit = abscissa.unit(end)
        let x = Axis(unit.title, Scale(.linear, 0...end), divisor: unit.divisor)
        return LineChart(
            summary:
                "Loss in nats per token against \(unit.title), \(runs.count == 1 ? "training and held out" : "\(runs.count) runs")",
            x: x, y: Axis("loss (nats per token)", .around(low...high), ticks: 5), secondY: bitsAxis(.around(low...high)),
            series: all.map { $0.downsampled(to: pointsPerCurve, along: x.scale) }, nameOfX: { abscissa.name($0) })
    }

    private func lossSeries(_ curve: Curve, _ abscissa: Curve.Abscissa, index: Int) -> [Series] {
        guard runs.count == 1 else {
            let style = Series.Style(.line, color: index, dash: index)
            let dots = curve.heldOut(abscissa)
            return [Series(names[index], curve.training(abscissa), style: style)]
                + (dots.isEmpty ? [] : [Series("\(names[index]), held out", dots, style: .init(.dots, color: index))])
        }
        let heldOut = curve.heldOut(abscissa)
        return [
            Series("training loss of every step", curve.unsmoothed(abscissa), style: .init(.background)),
            Series("training loss", curve.training(abscissa), style: .init(.line)),
        ] + (heldOut.isEmpty ? [] : [Series("held-out loss", heldOut, style: .init(.lineWithDots, color: 1, dash: 1))])
    }

    /// The loss at each position of the context; `nil` where no run has been evaluated.
    var inContextChart: LineChart? {
        let series = runs.indices.compactMap { index -> Series? in
            guard let bins = runs[index].evaluation?.bins, !bins.isEmpty else { return nil }
            let points = bins.map { Series.Point($0.position, $0.loss, deviation: $0.standardError) }
            return Series(
                names[index], points, style: .init(runs.count == 1 ? .lineWithDots : .line, color: index, dash: index))
        }
        let points = series.flatMap(\.points)
        guard let low = points.map({ $0.y - ($0.deviation ?? 0) }).min(),
            let high = points.map({ $0.y + ($0.deviation ?? 0) }).max(),
            let end = runs.compactMap({ $0.evaluation?.bins.last?.to }).max()
        else { return nil }
        return LineChart(
            summary: "In-context learning: loss in nats per token against the position in the context, "
                + (series.count == 1 ? "with a band of one standard error" : "\(series.count) runs"),
            x: positionAxis(end),
            y: Axis("loss (nats per token)", .around(low...high), ticks: 5), secondY: bitsAxis(.around(low...high)),
            series: series, nameOfX: Self.nameOfPosition)
    }

    /// The loss at each position less that of the first run, for the runs that were evaluated at the same positions; `nil` where
    /// there is no second.
    var differenceChart: LineChart? {
        guard let reference = runs[0].evaluation?.bins else { return nil }
        let series = runs.indices.compactMap { index -> Series? in
            guard let bins = runs[index].evaluation?.bins, bins.map(\.from) == reference.map(\.from) else { return nil }
            let points = zip(bins, reference).map { Series.Point($0.position, $0.loss - $1.loss) }
            return Series(names[index], points, style: .init(.line, color: index, dash: index))
        }
        let differences = series.flatMap(\.points).map(\.y)
        guard series.count > 1, let low = differences.min(), let high = differences.max(), let end = reference.last?.to else {
            return nil
        }
        return LineChart(
            summary: "Difference of the loss from that of \(names[0]) against the position in the context",
            x: positionAxis(end), y: Axis("difference (nats per token)", .around(low...high), ticks: 5), series: series,
            nameOfX: Self.nameOfPosition)
    }

    private func positionAxis(_ end: Int) -> Axis {
        Axis("position in the context (tokens, logarithmic)", Scale(.logarithmic(base: 2), 1...Double(max(end, 2))), ticks: 8)
    }

    private static let nameOfPosition: @Sendable (Double) -> String = { "position \(NumberFormat.grouped(Int($0.rounded())))" }

    /// Nats a token are bits a byte times ln 2 where tokens are bytes.
    private func bitsAxis(_ scale: Scale) -> Axis? {
        runs.allSatisfy(\.isByteLevel) ? Axis("bits per byte", of: scale, unit: 0.693_147_180_559_945_3) : nil
    }
}
