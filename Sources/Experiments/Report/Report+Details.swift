import Training

/// The lower half of the page: text, what to do next, configurations and numbers.
extension Report {
    package struct KeyNumber: Sendable {
        package let label: String
        package let value: String
        package var note: String?
    }

    /// The numbers that a reader asks for first. The same labels for every run.
    package func keyNumbers(_ run: Run) -> [KeyNumber] {
        let last = run.steps.last
        func compact(_ value: Double?, _ unit: String = "") -> String { value.map { NumberFormat.compact($0) + unit } ?? "–" }
        func loss(_ label: String, _ value: Double?, _ note: String?) -> KeyNumber {
            let bits =
                run.isByteLevel
                ? value.map { "\(NumberFormat.fixed($0 / 0.693_147_180_559_945_3, digits: 3)) bits per byte" } : nil
            return KeyNumber(
                label: label, value: value.map { NumberFormat.fixed($0, digits: 3) } ?? "–",
                note: bits ?? note)
        }
        // A number that hardly any run has: none is shown unless one does.
        let skipped =
            runs.contains { $0.skippedCount > 0 }
            ? [KeyNumber(label: "skipped steps", value: NumberFormat.grouped(run.skippedCount), note: "changed nothing")] : []
        let speed = last.flatMap { $0.seconds > 0 ? Double($0.tokens) / $0.seconds : nil }
        return [
            KeyNumber(label: "parameters", value: compact(run.parameterCount.map(Double.init)), note: run.mixer),
            KeyNumber(
                label: "training tokens", value: compact(last.map { Double($0.tokens) }),
                note: last.map { "\(NumberFormat.grouped($0.step)) steps" }),
            KeyNumber(
                label: "time", value: last.map { NumberFormat.duration($0.seconds) } ?? "–",
                note: last.map { "\(NumberFormat.compact($0.flops))FLOP" }),
            KeyNumber(
                label: "tokens per second",
                value: speed.map { $0 < 100_000 ? NumberFormat.grouped(Int($0.rounded())) : NumberFormat.compact($0) } ?? "–",
                note: "mean of the run"),
            loss("training loss", Curve(run).smoothed.last, "nats per token"),
            loss("held-out loss", run.heldOutLoss, "nats per token"),
        ] + skipped
    }

    // MARK: Text

    var samples: Markup {
        let figures = runs.indices.compactMap { index -> Markup? in
            guard let sample = runs[index].sample else { return nil }
            let text = sample.text.hasPrefix(sample.prompt) ? String(sample.text.dropFirst(sample.prompt.count)) : sample.text
            let name: Markup = runs.count == 1 ? "" : "<figcaption>\(names[index])</figcaption>"
            return """
                <figure class="sample">\(name)<blockquote dir="auto"><b>\(sample.prompt)</b>\(text)</blockquote></figure>
                """
        }
        return figures.isEmpty
            ? ""
            : section(
                "A sample", "<p>The prompt is bold; the model wrote what follows.</p><div class=\"samples\">\(figures)</div>")
    }

    var nextSteps: Markup {
        guard runs.count == 1 else { return "" }
        let run = Self.quoted(runs[0].path)
        let mixer = runs[0].configuration["model"]?["mixer"]?.string == "exponential" ? "power" : "exponential"
        let other = Self.quoted("\(runs[0].path)-\(mixer)")
        let context = runs[0].configuration["training"]?["context"]?.integer ?? 1024
        let commands = [
            ("Continue your own words", "power generate \(run) --prompt \"Mr. Darcy\" --temperature 0.7"),
            ("Score contexts eight times as long", "power eval \(run) --context \(8 &* context) -o long.json"),
            ("Train the same with another mixer", "power train \(run)/config.json --mixer \(mixer) -o \(other)"),
            ("Lay both over each other", "power eval \(other) && power report \(run) \(other)"),
        ]
        let items = commands.map { "<div><dt>\($0.0)</dt><dd><code>\($0.1)</code></dd></div>" as Markup }
        return section(
            "What to try next",
            """
            <p>In the folder of the package <code>power</code> is <code>swift run -c release power</code>.</p>\
            <dl class="next">\(items)</dl>
            """)
    }

    /// A path as one word of a shell.
    static func quoted(_ path: String) -> String {
        let plain = path.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII
                && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil
                    || "/._-+=:,@%".unicodeScalars.contains(scalar))
        }
        return plain && !path.isEmpty
            ? path : "'" + path.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }

    // MARK: Configuration

    var configurationSection: Markup {
        guard runs.count == 1 else {
            let (different, same) = settings
            let first: Markup =
                different.rows.isEmpty
                ? "<p>The runs have the same configuration.</p>" : different.html(caption: "Settings that differ")
            return section(
                "Configuration",
                "\(first)\(details("Settings that all runs share", same.html(caption: "Settings that all runs share")))")
        }
        guard case .table(let members) = runs[0].configuration else { return "" }
        let groups = members.sorted { Self.rank($0.key) < Self.rank($1.key) }
        let scalars = groups.filter { !$0.value.isTable }.map { (NumberFormat.words($0.key), $0.value.words) }
        let cards = groups.filter(\.value.isTable).map {
            card(NumberFormat.words($0.key), $0.value.leaves.map { ($0.key, $0.value) })
        }
        let run = scalars.isEmpty ? [] : [card("run", scalars)]
        return section("Configuration", "<div class=\"cards\">\(cards + run)</div>")
    }

    /// The model first, then the others by name.
    private static func rank(_ key: String) -> String { key == "model" ? "" : key }

    private func card(_ title: String, _ rows: [(String, String)]) -> Markup {
        let items = rows.map { "<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>" as Markup }
        return "<div class=\"card\"><h3>\(title)</h3><dl>\(items)</dl></div>"
    }

    // MARK: Numbers

    private static let embeddedRows = 400

    func numbers(_ curves: [Curve]) -> Markup {
        var tables: [Markup] = []
        if runs.contains(where: { !$0.steps.isEmpty }) {
            tables.append(details("Training loss", lossTable(curves).html(caption: "Training loss, nats per token")))
        }
        if runs.contains(where: { $0.heldOutLoss != nil }) {
            tables.append(details("Held-out loss", heldOutTable.html(caption: "Held-out loss, nats per token")))
        }
        if runs.contains(where: { $0.evaluation != nil }) {
            tables.append(
                details(
                    "Loss along the context", positionTable.html(caption: "Loss at positions of the context, nats per token")))
        }
        if !skippedTable.rows.isEmpty {
            tables.append(details("Skipped steps", skippedTable.html(caption: "Steps that changed nothing")))
        }
        let files = [runTable, metricsTable(limit: max(20, 2 * Self.embeddedRows / (runs.count + 1))), inContextTable]
        let links = files.filter { !$0.rows.isEmpty }.map(\.link)
        return section(
            "Numbers", "<p>The curves as tables, and as files for a spreadsheet: \(list(links)).</p>\(tables)")
    }

    /// "a, b and c".
    private func list(_ items: [Markup]) -> Markup {
        guard let last = items.last, items.count > 1 else { return items.first ?? "" }
        let others = items.dropLast().enumerated().map { index, item -> Markup in index == 0 ? item : ", \(item)" }
        return "\(others) and \(last)"
    }

    private func details(_ title: String, _ content: Markup) -> Markup {
        "<details><summary>\(title)</summary>\(content)</details>"
    }
}
