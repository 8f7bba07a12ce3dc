import Foundation
import Testing

@Suite struct FlopsCommandTests {
    private struct Row: Decodable {
        var attention: String
        var context: Int
        var wsfr: String
        var headFLOPsPerToken: Double
    }

    /// The paper's row for exponential attention, and power attention beside it.
    @Test func json() throws {
        let result = try PowerProcess.run(["flops", "--json"])
        #expect(result.status == 0)
        let rows = try JSONDecoder().decode([Row].self, from: Data(result.output.utf8))
        let exponential = rows.filter { $0.attention == "exponential" }
        #expect(exponential.map(\.context) == [1024, 8192, 65536])
        #expect(exponential.map(\.wsfr) == ["8:1", "1:1", "1:8"])
        #expect(rows.allSatisfy { $0.headFLOPsPerToken == 6 * 50_257 * 768 })
        #expect(Set(rows.map(\.attention)) == ["exponential", "linear", "power p=2", "power p=3"])
    }

    @Test func table() throws {
        let result = try PowerProcess.run(["flops", "--context", "4096", "--degree", "2"])
        let lines = result.output.split(separator: "\n")
        #expect(result.status == 0 && lines.count == 4)
        #expect(lines.allSatisfy { $0.count == lines[0].count || $0.hasSuffix(" ") == false })
    }

    @Test(arguments: [
        ["--degree", "7"], ["--context", "0"], ["--heads", "0"], ["--head-width", "300"], ["--tile", "65"],
        ["--vocabulary", "0"],
    ])
    func faults(options: [String]) throws {
        let result = try PowerProcess.run(["flops"] + options)
        #expect(result.status != 0 && result.status < 128 && result.output.isEmpty && !result.errors.isEmpty)
    }
}
