import Experiments
import Foundation
import Tensors
import Testing

@Suite struct ReportTests {
    /// What a page is made of, in order, without its numbers.
    private func structure(_ page: String) -> [String] {
        page.matches(of: /<h2>([^<]+)<\/h2>|<svg class="(plot)"|<(table)>|<(blockquote)|<summary>([^<]+)<\/summary>/).map {
            match in
            let parts = [match.1, match.2, match.3, match.4, match.5]
            return parts.compactMap { $0.map(String.init) }.joined()
        }
    }

    @Test func pageOfOneRun() throws {
        let folder = try RunFolder("austen")
        let page = try Report(runs: [try Run(path: folder.path)]).html()
        #expect(wellFormednessFault(page) == nil)
        #expect(
            structure(page) == [
                "Loss", "plot", "In-context learning", "plot", "A sample", "blockquote", "What to try next", "Configuration",
                "Numbers",
                "Training loss", "table", "Held-out loss", "table", "Loss along the context", "table",
            ])
        #expect(page.contains("<h1>austen</h1>"))
        #expect(
            page.contains("loss (nats per token)") && page.contains("bits per byte")
                && page.contains("training tokens (thousands)"))
        #expect(page.contains("position in the context (tokens, logarithmic)"))
        #expect(page.contains("<b>It is &lt;i&gt;</b> a &amp; b\u{FFFD} 🙂"))
        #expect(page.contains("a &lt;b&gt; &amp; &quot;c&quot;"))
        #expect(page.contains("102\u{A0}k tokens in 50\u{A0}s"))
        #expect(page.contains("<title>position 2\nausten: 2.500 ± 0.100</title>"))
    }

    @Test func pageOfSeveralRuns() throws {
        let folders = [
            try RunFolder("a"), try RunFolder("b", steps: 300), try RunFolder("b", steps: 7, files: ["eval.json": nil]),
        ]
        let report = try Report(runs: try folders.map { try Run(path: $0.path) })
        let page = report.html()
        #expect(wellFormednessFault(page) == nil)
        #expect(
            structure(page) == [
                "At a glance", "table", "Loss", "plot", "In-context learning", "plot", "plot", "Loss for the cost", "plot",
                "plot",
                "A sample", "blockquote", "blockquote", "blockquote", "Configuration", "Settings that all runs share", "table",
                "Numbers",
                "Training loss", "table", "Held-out loss", "table", "Loss along the context", "table",
            ])
        #expect(Set(report.names).count == 3)
        #expect(page.contains("training compute (GFLOP)") && page.contains("training time (seconds)"))
    }

    @Test func pageNeedsNothingElse() throws {
        let folder = try RunFolder()
        let page = try Report(runs: [try Run(path: folder.path)]).html()
        #expect(!page.contains("<script") && !page.contains("url(") && !page.contains("@import") && !page.contains("src="))
        for link in page.matches(of: /href="([^"]{0,12})/) { #expect(link.1.hasPrefix("data:")) }
    }

    @Test(arguments: [1, 2])
    func namesAreEscapedEverywhere(count: Int) throws {
        let folders = try (0..<count).map { try RunFolder("<i>&\"' \($0)") }
        let page = try Report(runs: try folders.map { try Run(path: $0.path) }).html()
        #expect(wellFormednessFault(page) == nil)
        #expect(!page.contains("<i>"))
    }

    @Test func sameRunsGiveTheSamePage() throws {
        let folder = try RunFolder()
        #expect(try Report(runs: [try Run(path: folder.path)]).html() == Report(runs: [try Run(path: folder.path)]).html())
    }

    @Test func youngRunsHavePages() throws {
        for (steps, files) in [(1, ["eval.json": nil]), (2, [:]), (1, ["metrics.jsonl": Data(), "eval.json": nil])]
            as [(Int, [String: Data?])]
        {
            let folder = try RunFolder(steps: steps, files: files)
            let page = try Report(runs: [try Run(path: folder.path)]).html()
            #expect(wellFormednessFault(page) == nil)
            #expect(!page.contains("nan") && !page.contains("inf%"))
        }
    }

    @Test func skippedStepsAreShown() throws {
        let lines = RunFolder.metrics(9) + RunFolder.skippedLine(10, 1) + RunFolder.skippedLine(11, 2, spike: true)
        let folder = try RunFolder("a", files: ["metrics.jsonl": Data(lines.utf8)])
        let run = try Run(path: folder.path)
        let otherFolder = try RunFolder("b")
        let other = try Run(path: otherFolder.path)
        for runs in [[run], [run, other]] {
            let report = try Report(runs: runs)
            let page = report.html()
            #expect(wellFormednessFault(page) == nil)
            #expect(structure(page).contains("Skipped steps") && page.contains("not finite, first the input of norm"))
            #expect(report.keyNumbers(run).last?.label == "skipped steps" && report.keyNumbers(run).last?.value == "2")
            #expect(report.keyNumbers(runs[runs.count - 1]).count == 7)
            #expect(report.runTable.header.last == "skipped_steps" && report.runTable.rows[0].last == "2")
        }
        #expect(try Report(runs: [other]).keyNumbers(other).count == 6)
        // No other step than skipped ones.
        let all = try RunFolder(files: ["metrics.jsonl": Data(RunFolder.skippedLine(1, 1).utf8), "eval.json": nil])
        #expect(wellFormednessFault(try Report(runs: [try Run(path: all.path)]).html()) == nil)
    }

    @Test func extremeNumbersHavePages() throws {
        let lines = [
            #"{"step":1,"tokens":0,"loss":1e100,"held_out_loss":0,"seconds":0,"flops":1e-300,"learning_rate":0,"gradient_norm":1e308,"tokens_per_second":1e308}"#,
            #"{"step":9223372036854775806,"tokens":9007199254740992,"loss":0,"held_out_loss":1e100,"seconds":1e300,"flops":1.7e308,"learning_rate":0,"gradient_norm":0,"tokens_per_second":0}"#,
        ]
        let evaluation =
            #"{"context":9007199254740992,"documents":1,"windows":1,"tokens":8,"mean_loss":1,"bins":[{"from":5,"to":9007199254740992,"count":1,"loss":1e100,"standard_error":1e100}]}"#
        let folder = try RunFolder(files: [
            "metrics.jsonl": Data((lines.joined(separator: "\n") + "\n").utf8), "eval.json": Data(evaluation.utf8),
        ])
        let run = try Run(path: folder.path)
        #expect(wellFormednessFault(try Report(runs: [run]).html()) == nil)
        #expect(wellFormednessFault(try Report(runs: [run, run, run]).html()) == nil)
    }

    @Test func noRunIsAnError() {
        #expect(throws: PowerAttentionError.self) { try Report(runs: []) }
    }

    @Test func pagesOfLongAndOfManyRunsStaySmall() throws {
        let long = try RunFolder(steps: 20_000)
        #expect(try Report(runs: [try Run(path: long.path)]).html().utf8.count < 400_000)
        let folders = try (0..<12).map { try RunFolder("run \($0)", steps: 2_000) }
        #expect(try Report(runs: try folders.map { try Run(path: $0.path) }).html().utf8.count < 1_000_000)
    }

    @Test func tokenizersThatDifferAreSaid() throws {
        let other = RunFolder.configuration.replacingOccurrences(of: "\"bytes\"", with: "\"gpt2\"")
        let folders = [try RunFolder("a"), try RunFolder("b", files: ["config.json": Data(other.utf8)])]
        let page = try Report(runs: try folders.map { try Run(path: $0.path) }).html()
        #expect(page.contains("different tokenizers (bytes, gpt2)") && !page.contains("bits per byte"))
        #expect(structure(page).contains("Settings that all runs share"))
    }

    @Test func filesOfNumbers() throws {
        let folders = [try RunFolder("a, \"b\""), try RunFolder("c", steps: 3)]
        let report = try Report(runs: try folders.map { try Run(path: $0.path) })
        let target = folders[0].url.appendingPathComponent("numbers").path
        try report.writeCSV(to: target)
        func lines(_ file: String) throws -> [Substring] {
            try String(contentsOfFile: "\(target)/\(file)", encoding: .utf8).split(
                separator: "\n", omittingEmptySubsequences: false)
        }
        let runs = try lines("runs.csv")
        #expect(runs.count == 4 && runs[0].hasPrefix("run,mixer,parameters,steps,tokens"))
        #expect(runs[1].hasPrefix("\"a, \"\"b\"\"\",\"power attention, degree 2, gated\",123456,200,102400,2"))
        #expect(try lines("metrics.csv").count == 1 + 200 + 3 + 1)
        #expect(try lines("metrics.csv")[1].hasPrefix("\"a, \"\"b\"\"\",1,512,1000000000.0,0.25,5.5,5.5,,0.001,0.5,2048.0"))
        #expect(try lines("in_context.csv").last == "" && lines("in_context.csv")[3] == "\"a, \"\"b\"\"\",3,8,1.5,,15")
    }

    @Test func writingReplacesThePageOrNamesThePath() throws {
        let folder = try RunFolder()
        let report = try Report(runs: [try Run(path: folder.path)])
        let page = "\(folder.path)/new folder/report.html"
        try report.write(to: page)
        try report.write(to: page)
        #expect(try String(contentsOfFile: page, encoding: .utf8) == report.html())
        let error = try #require(throws: PowerAttentionError.self) {
            try report.write(to: "\(folder.path)/config.json/report.html")
        }
        #expect(error.argument == "\(folder.path)/config.json/report.html")
    }
}
