public import Tensors

/// A page that shows one training run, or several over each other: the loss curves, the in-context learning curves, the
/// configurations and the numbers.
///
/// The page is one self-contained file: inline style and SVG, no script, nothing fetched. The same runs give the same bytes.
///
/// ```swift
/// let report = try Report(runs: [try Run(path: "runs/quickstart")])
/// try report.write(to: "runs/quickstart/report.html")
/// ```
public struct Report: Sendable {
    public let runs: [Run]
    /// What the runs are called on the page: their names, with as much of their paths as tells them apart.
    package let names: [String]

    /// - Throws: ``PowerAttentionError`` where there is no run.
    public init(runs: [Run]) throws(PowerAttentionError) {
        guard !runs.isEmpty else { throw PowerAttentionError(argument: "runs", given: "none", expected: "at least one") }
        self.runs = runs
        names = Self.distinctNames(runs)
    }

    /// Writes the page.
    ///
    /// - Throws: ``PowerAttentionError`` that names the path, where it cannot be written.
    public func write(to path: String) throws(PowerAttentionError) {
        try write(html(), to: path)
    }

    /// Writes the numbers as `runs.csv`, `metrics.csv` (every line of metrics) and `in_context.csv` into a folder, which is made
    /// where it does not exist.
    public func writeCSV(to folder: String) throws(PowerAttentionError) {
        for table in [runTable, metricsTable(limit: nil), inContextTable] {
            try write(table.csv, to: "\(folder)/\(table.name).csv")
        }
    }

    /// Last components of paths where they differ, else "folder/name", and numbers where even the paths are the same.
    private static func distinctNames(_ runs: [Run]) -> [String] {
        let isUnique = Set(runs.map(\.name)).count == runs.count
        let names = isUnique ? runs.map(\.name) : runs.map(\.path)
        return names.enumerated().map { index, name in
            let earlier = names[..<index].count { $0 == name }
            return earlier == 0 ? name : "\(name) (\(earlier + 1))"
        }
    }
}
