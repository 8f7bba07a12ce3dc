import Training

/// The numbers of a report as tables: those named like files hold plain numbers for programs, the others are for readers.
extension Report {
    // MARK: For programs

    /// A row a run: what it is, what it cost and what came of it.
    package var runTable: Table {
        let header = [
            "run", "mixer", "parameters", "steps", "tokens", "flops", "seconds", "training_loss", "held_out_loss", "context",
            "evaluation_loss", "evaluation_standard_error", "skipped_steps",
        ]
        let rows = runs.indices.map { index -> [String] in
            let (run, last, evaluation) = (runs[index], runs[index].steps.last, runs[index].evaluation)
            return [
                names[index], run.mixer ?? "", plain(run.parameterCount), plain(last?.step), plain(last?.tokens),
                plain(last?.flops), plain(last?.seconds), plain(Curve(run).smoothed.last), plain(run.heldOutLoss),
                plain(evaluation?.context), plain(evaluation?.meanLoss), plain(evaluation?.standardError),
                plain(run.skippedCount),
            ]
        }
        return Table(name: "runs", header: header, rows: rows)
    }

    /// A row a step, at most about `limit` a run: evenly spaced ones and those with a held-out loss.
    package func metricsTable(limit: Int?) -> Table {
        let header = [
            "run", "step", "tokens", "flops", "seconds", "loss", "smoothed_loss", "held_out_loss", "learning_rate",
            "gradient_norm", "tokens_per_second",
        ]
        let rows = runs.indices.flatMap { index -> [[String]] in
            let steps = runs[index].steps
            let stride = max(1, steps.count / (limit ?? steps.count).clamped(to: 1...max(steps.count, 1)))
            let smoothed = Curve(runs[index]).smoothed
            return zip(steps.indices, zip(steps, smoothed)).compactMap { place, pair -> [String]? in
                let (step, mean) = pair
                guard place.isMultiple(of: stride) || place == steps.count - 1 || step.heldOutLoss != nil else { return nil }
                return [
                    names[index], plain(step.step), plain(step.tokens), plain(step.flops), plain(step.seconds),
                    plain(step.loss),
                    plain(mean), plain(step.heldOutLoss), plain(step.learningRate), plain(step.gradientNorm),
                    plain(step.tokensPerSecond),
                ]
            }
        }
        return Table(name: "metrics", header: header, rows: rows)
    }

    /// A row a range of positions and run.
    package var inContextTable: Table {
        let rows = runs.indices.flatMap { index -> [[String]] in
            (runs[index].evaluation?.bins ?? []).map { bin in
                [
                    names[index], plain(bin.from), plain(bin.to), plain(bin.loss), plain(bin.standardError), plain(bin.count),
                ]
            }
        }
        return Table(
            name: "in_context", header: ["run", "position_from", "position_to", "loss", "standard_error", "tokens"], rows: rows)
    }

    private func plain(_ value: Int?) -> String { value.map { "\($0)" } ?? "" }
    private func plain(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }

    // MARK: For readers

    /// The key numbers of every run side by side.
    var summary: Table {
        let rows = runs.indices.map { index in
            [names[index], runs[index].mixer ?? "–"] + keyNumbers(runs[index]).map(\.value)
        }
        return Table(name: "summary", header: ["run", "mixer"] + keyNumbers(runs[0]).map(\.label), rows: rows)
    }

    /// The smoothed training loss of every run at a dozen places along the longest.
    func lossTable(_ curves: [Curve]) -> Table {
        let points = curves.map { $0.training(.tokens) }
        let end = points.compactMap(\.last?.x).max() ?? 0
        let places = 12
        let rows = (1...places).map { place -> [String] in
            let x = end * Double(place) / Double(places)
            let values = points.map { points in
                guard let last = points.last, x <= last.x + end / Double(2 * places) else { return "–" }
                let nearest = points.min { abs($0.x - x) < abs($1.x - x) } ?? last
                return NumberFormat.fixed(nearest.y, digits: 3)
            }
            return [NumberFormat.grouped(Int(x.rounded()))] + values
        }
        return Table(name: "loss", header: ["tokens"] + columnNames("training loss"), rows: rows)
    }

    /// The held-out loss of every run where it was measured, thinned to two dozen rows.
    var heldOutTable: Table {
        let measured = runs.map { run in run.steps.filter { $0.heldOutLoss != nil } }
        let places = Set(measured.flatMap { $0.map(\.tokens) }).sorted()
        let stride = (places.count + 23) / 24
        let rows = places.indices.filter { (places.count - 1 - $0).isMultiple(of: stride) }.map { index -> [String] in
            let values = measured.map { steps in steps.last { $0.tokens == places[index] }?.heldOutLoss }
            return [NumberFormat.grouped(places[index])] + values.map { $0.map { NumberFormat.fixed($0, digits: 3) } ?? "–" }
        }
        return Table(name: "held-out", header: ["tokens"] + columnNames("held-out loss"), rows: rows)
    }

    /// The loss of every run in every range of positions.
    var positionTable: Table {
        let bins = runs.map { $0.evaluation?.bins ?? [] }
        let ranges = Set(bins.flatMap { $0.map { $0.from..<$0.to } }).sorted {
            ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound)
        }
        let rows = ranges.map { range -> [String] in
            let first = NumberFormat.grouped(range.lowerBound + 1)
            return [range.count == 1 ? first : "\(first) – \(NumberFormat.grouped(range.upperBound))"]
                + bins.map { bins in
                    guard let bin = bins.first(where: { $0.from == range.lowerBound && $0.to == range.upperBound }) else {
                        return "–"
                    }
                    let deviation = bin.standardError.map { " ± \(NumberFormat.fixed($0, digits: 3))" } ?? ""
                    return NumberFormat.fixed(bin.loss, digits: 3) + deviation
                }
        }
        return Table(name: "positions", header: ["positions"] + columnNames("loss"), rows: rows)
    }

    /// The steps that changed nothing, the last two dozen of every run.
    var skippedTable: Table {
        let rows = runs.indices.flatMap { index in
            runs[index].skippedSteps.suffix(24).map { step -> [String] in
                let reason = step.reason == .spike ? "spike" : "not finite"
                let start = runs.count == 1 ? [] : [names[index]]
                return start + [
                    NumberFormat.grouped(step.step), step.first.map { "\(reason), first \($0)" } ?? reason,
                    NumberFormat.fixed(step.loss, digits: 3), NumberFormat.fixed(step.gradientNorm, digits: 3),
                ]
            }
        }
        let header = ["step", "reason", "loss", "gradient norm"]
        return Table(name: "skipped", header: (runs.count == 1 ? [] : ["run"]) + header, rows: rows)
    }

    /// Runs as columns; a single run needs no name.
    private func columnNames(_ single: String) -> [String] { runs.count == 1 ? [single] : names }

    /// Every setting of every run, those that differ first.
    var settings: (different: Table, same: Table) {
        let flat = runs.map { $0.configuration.leaves }
        let keys = Set(flat.flatMap { $0.map(\.key) }).sorted()
        let rows = keys.map { key in [key] + flat.map { settings in settings.first { $0.key == key }?.value ?? "–" } }
        let different = rows.filter { Set($0.dropFirst()).count > 1 }
        let same = rows.filter { Set($0.dropFirst()).count == 1 }.map { Array($0.prefix(2)) }
        return (
            Table(name: "different", header: ["setting"] + names, rows: different),
            Table(name: "same", header: ["setting", "value"], rows: same)
        )
    }
}

extension Comparable {
    fileprivate func clamped(to range: ClosedRange<Self>) -> Self { min(max(self, range.lowerBound), range.upperBound) }
}
