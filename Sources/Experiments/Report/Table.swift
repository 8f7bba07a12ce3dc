import Foundation

/// A table of numbers, for the page and as CSV.
package struct Table: Sendable {
    /// The name of the file without its ending.
    package let name: String
    package let header: [String]
    package let rows: [[String]]

    package init(name: String, header: [String], rows: [[String]]) {
        self.name = name
        self.header = header
        self.rows = rows
    }

    /// RFC 4180, with line feeds.
    package var csv: String {
        ([header] + rows).map { $0.map(Self.field).joined(separator: ",") + "\n" }.joined()
    }

    private static func field(_ text: String) -> String {
        guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
        return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }

    /// A link that saves the table.
    var link: Markup {
        let data = Data(csv.utf8).base64EncodedString()
        return "<a class=\"csv\" download=\"\(name).csv\" href=\"data:text/csv;base64,\(data)\">\(name).csv</a>"
    }

    /// The table as HTML, under another header: the first column is the row's name, the others are numbers.
    func html(caption: String) -> Markup {
        let head = header.map { "<th scope=\"col\">\($0)</th>" as Markup }
        let body = rows.map { row -> Markup in
            let cells = zip(header, row).dropFirst().map { "<td data-label=\"\($0)\">\($1)</td>" as Markup }
            return "<tr><th scope=\"row\">\(row.first ?? "")</th>\(cells)</tr>"
        }
        return """
            <div class="\(header.count > 3 ? "table wide" : "table")" role="region" tabindex="0" aria-label="\(caption)">\
            <table><caption>\(caption)</caption><thead><tr>\(head)</tr></thead><tbody>\(body)</tbody></table></div>
            """
    }
}
