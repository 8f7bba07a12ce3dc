import ArgumentParser
import Experiments

/// `power report`: training runs as one page.
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Show training runs in one HTML page: loss curves, in-context learning curves, configurations, numbers.",
        discussion: """
            The page is one self-contained file, without scripts. Several runs are laid over each other: loss against tokens, \
            FLOPs and seconds, and the loss along the context where 'power eval' has been run. A run that is still going on can \
            be shown. The path of the page is printed.

            EXAMPLES
              power report runs/first
              power report runs/power runs/softmax -o comparison.html --csv numbers
            """)

    @Argument(help: "Folders of training runs.", completion: .directory)
    var runs: [String]

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Where the page is written (default: report.html in the folder of a single run, else in the current folder).",
            valueName: "file"),
        completion: .file(extensions: ["html"]))
    var output: String?

    @Option(
        help: ArgumentHelp("Write runs.csv, metrics.csv and in_context.csv into this folder too.", valueName: "folder"),
        completion: .directory)
    var csv: String?

    func run() throws {
        let report = try Report(runs: try runs.map { try Run(path: $0) })
        let page = output ?? (runs.count == 1 ? "\(report.runs[0].path)/report.html" : "report.html")
        try report.write(to: page)
        print(page)
        if let csv { try report.writeCSV(to: csv) }
    }
}
