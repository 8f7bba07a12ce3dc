import Training

/// The page, section by section.
extension Report {
    /// The page as one self-contained HTML document, which is also well-formed XML.
    public func html() -> String {
        let curves = runs.map { Curve($0) }
        let title = runs.count == 1 ? names[0] : "\(runs.count) runs compared"
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="en" xmlns="http://www.w3.org/1999/xhtml">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta name="color-scheme" content="light dark"/>
            <meta name="generator" content="power report"/>
            <title>\(title) · power attention</title>
            <link rel="icon" href="data:,"/>
            <style>\(Self.style)</style>
            </head>
            <body>
            <main>
            \(header(title))
            \(overview)
            \(lossSection(curves))
            \(inContextSection)
            \(costSection(curves))
            \(samples)
            \(nextSteps)
            \(configurationSection)
            \(numbers(curves))
            </main>
            <footer>Losses are in nats: the negative natural logarithm of the probability that the model gave to the token that came.</footer>
            </body>
            </html>

            """
        return page.text
    }

    // MARK: Top

    private func header(_ title: String) -> Markup {
        """
        <header>
        <p class="overline">Power attention · \(runs.count == 1 ? "training run" : "comparison")</p>
        <h1>\(title)</h1>
        <p class="lede">\(lede)</p>
        </header>
        """
    }

    private var lede: String {
        guard runs.count == 1 else { return "Loss against tokens, arithmetic and time, and along the context." }
        let run = runs[0]
        let mixer = run.mixer.map { " Its sequence mixer is \($0)." } ?? ""
        guard let last = run.steps.last else { return "A language model that has not finished a step.\(mixer)" }
        let parameters = run.parameterCount.map { " with \(NumberFormat.compact(Double($0))) parameters" } ?? ""
        let cost = "\(NumberFormat.compact(Double(last.tokens))) tokens in \(NumberFormat.duration(last.seconds))"
        return "A language model\(parameters), trained on \(cost).\(mixer)"
    }

    private var overview: Markup {
        guard runs.count == 1 else {
            return
                "<section class=\"overview\"><h2>At a glance</h2>\(summary.html(caption: "Key numbers of every run"))</section>"
        }
        let items = keyNumbers(runs[0]).map { number -> Markup in
            let note: Markup = number.note.map { "<span class=\"note\">\($0)</span>" } ?? ""
            return "<div><dt>\(number.label)</dt><dd>\(number.value)\(note)</dd></div>"
        }
        return "<section class=\"overview\" aria-label=\"Key numbers\"><dl class=\"keys\">\(items)</dl></section>"
    }

    // MARK: Curves

    private func lossSection(_ curves: [Curve]) -> Markup {
        guard let chart = lossChart(curves, .tokens) else {
            return section("Loss", "<p>No step has been finished yet.</p>")
        }
        let window = runs.count == 1 && curves[0].window > 1 ? ", the mean of \(curves[0].window) steps" : ""
        let text =
            runs.count == 1
            ? "The training loss\(window), with every single step behind it, and the loss on documents that are held out of training."
            : "Lines are the training loss, smoothed over a thirtieth of the steps; dots are the loss on held-out documents. "
                + (chart.isCut ? "The steep fall of the first steps lies above the plot. " : "") + tokenizerWarning
        return section("Loss", "<p>\(text)</p>\(figure(chart))")
    }

    /// Nats a token mean different things for tokens of different sizes.
    private var tokenizerWarning: String {
        let tokenizers = Set(runs.compactMap(\.tokenizer)).sorted()
        return tokenizers.count < 2
            ? ""
            : "The runs have different tokenizers (\(tokenizers.joined(separator: ", "))): their losses per token do not compare."
    }

    private var inContextSection: Markup {
        guard let chart = inContextChart else { return "" }
        let difference: Markup =
            differenceChart.map { "<p>The same less the loss of \(names[0]): below zero is better.</p>\(figure($0))" } ?? ""
        return section(
            "In-context learning",
            """
            <p>The loss at each position of the context, the mean over \(scored); the band is one standard error \
            to either side. A model that makes use of what it has read falls to the right.</p>\(figure(chart))\(difference)
            """)
    }

    private func costSection(_ curves: [Curve]) -> Markup {
        guard runs.count > 1 else { return "" }
        let charts = [Curve.Abscissa.flops, .seconds].compactMap { lossChart(curves, $0).map(figure) }
        return charts.isEmpty
            ? ""
            : section(
                "Loss for the cost", "<p>The same curves against the arithmetic and the time that they took.</p>\(charts)")
    }

    /// What the in-context curves are means over.
    private var scored: String {
        let scored = Set(runs.compactMap(\.evaluation).map { [$0.windows, $0.documents] })
        guard scored.count == 1, let counts = scored.first else { return "pieces of held-out documents" }
        let documents = counts[1] == 1 ? "a held-out document" : "\(NumberFormat.grouped(counts[1])) held-out documents"
        return counts[0] == counts[1]
            ? documents : "\(NumberFormat.grouped(counts[0])) \(counts[0] == 1 ? "piece" : "pieces") of \(documents)"
    }

    private func figure(_ chart: LineChart) -> Markup {
        let lines = chart.series.filter { $0.style.mark != .dots || chart.series.count == 1 }
        let items = lines.map { series -> Markup in
            let color = "c\(series.style.color % Series.Style.colors)"
            let mark: Markup =
                switch series.style.mark {
                case .background: "<path class=\"raw\" d=\"M0 6L4 3L8 9L12 2L16 8L20 4L24 9L28 6\"/>"
                case .line, .dots, .lineWithDots: "<path class=\"line \(color)\" \(LineChart.dash(series.style))d=\"M0 6H28\"/>"
                }
            return "<li><svg width=\"28\" height=\"12\" aria-hidden=\"true\">\(mark)</svg>\(series.name)</li>"
        }
        let legend: Markup = chart.series.count > 1 ? "<ul class=\"legend\">\(items)</ul>" : ""
        let second = chart.secondY == nil ? "" : " two"
        return "<figure class=\"chart\(second)\">\(legend)<div class=\"frame\">\(chart.svg())</div></figure>"
    }

    func section(_ title: String, _ content: Markup) -> Markup { "<section><h2>\(title)</h2>\(content)</section>" }
}
