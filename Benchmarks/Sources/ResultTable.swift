/// A table of results that prints as Markdown.
package struct ResultTable: Sendable {
    package var title: String
    /// What was measured, and the formula behind derived columns.
    package var text: String
    package var columns: [String]
    package var rows: [[String]]

    package init(_ title: String, text: String, columns: [String], rows: [[String]]) {
        self.title = title
        self.text = text
        self.columns = columns
        self.rows = rows
    }

    package var markdown: String {
        func line(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }
        return "## \(title)\n\n\(text)\n\n" + line(columns) + line(columns.map { _ in "---" }) + rows.map(line).joined()
    }
}
