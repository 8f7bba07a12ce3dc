import Foundation
import PowerAttention
import Testing

/// `power verify` as a process.
@Suite struct VerifyCommandTests {
    @Test func oneRowForEachProblem() throws {
        let result = try PowerProcess.run(["verify", "--filter", "p=2 sum, bfloat16"])
        #expect(result.status == 0, "\(result.errors)")
        let problems = VerificationProblem.table.filter { $0.description.contains("p=2 sum, bfloat16") }
        let rows = result.output.split(separator: "\n").filter { $0.hasPrefix("ok ") }
        #expect(rows.count == problems.count && problems.count > 3)
        #expect(zip(rows, problems).allSatisfy { $0.hasSuffix($1.description) })
        #expect(!result.output.contains("MISS") && !result.output.contains("!"))
        #expect(result.output.contains("all within their limits") && result.output.contains("the same bits"))
    }

    @Test func oneRowForEachVariant() throws {
        let rows = try PowerProcess.run(["verify", "--verbose", "--filter", "p=4 sum, float32, b=1 t=130"])
        #expect(rows.status == 0, "\(rows.errors)")
        #expect(rows.output.split(separator: "\n").filter { $0.hasPrefix("ok ") }.count == 8)
        #expect(rows.output.contains("recurrent: p=4 sum") && rows.output.contains("chunked c=200: p=4 sum"))
    }

    /// The columns carry what was measured: the reference differs from itself by the rounding to float32.
    @Test func referenceAgainstItself() throws {
        let result = try PowerProcess.run(["verify", "--device", "reference", "--filter", "p=1 none, float32, b=1 t=130"])
        #expect(result.status == 0, "\(result.errors)")
        let row = try #require(result.output.split(separator: "\n").first { $0.hasPrefix("ok ") })
        let cells = row.split(separator: " ").map(String.init)
        #expect(cells[1...4].allSatisfy { $0.hasSuffix("e-08") } && cells[5] == "-")
    }

    /// Half precision does not come below its own rounding: a row says which tensor missed, and the process fails.
    @Test func misses() throws {
        let result = try PowerProcess.run(["verify", "--filter", "exponential window 30, bfloat16", "--limits", "1e-1"])
        #expect(result.status == 70, "\(result.errors)")
        let row = try #require(result.output.split(separator: "\n").first { $0.hasPrefix("MISS ") })
        #expect(row.split(separator: " ")[1].hasSuffix("e-03!"))
        #expect(result.output.contains("ABOVE THEIR LIMITS"))
    }

    @Test func faults() throws {
        for limits in ["0", "2", "nan"] {
            #expect(try PowerProcess.run(["verify", "--limits", limits]).status == 64)
        }
        let nothing = try PowerProcess.run(["verify", "--filter", "p=9"])
        #expect(nothing.status == 64 && nothing.output.isEmpty && nothing.errors.contains("filter: p=9"))
        let device = try PowerProcess.run(["verify", "--device", "tpu"])
        #expect(device.status == 64 && device.errors.contains("tpu"))
    }
}

/// The short table touches everything, with parts of the whole table.
@Suite struct VerificationCaseTests {
    @Test func shortTable() {
        let short = VerificationCase.short
        #expect((20...30).contains(short.count) && short.allSatisfy { (1...2).contains($0.variants.count) })
        #expect(Set(short.map(\.problem)).count == short.count)
        #expect(Set(short.map(\.problem)).isSubset(of: VerificationProblem.table))
        let problems = short.map(\.problem)
        #expect(Set(problems.compactMap(\.mechanism.degree)) == [1, 2, 3, 4])
        #expect(Set(problems.map(\.dataType)) == [.float32, .float16, .bfloat16])
        #expect(Set(short.flatMap(\.variants).map(\.form)) == [.attention, .recurrent, .chunked])
        #expect(problems.contains { $0.mechanism == .exponential(window: nil) })
        #expect(problems.contains { $0.mechanism == .exponential(window: 5) })
        #expect(problems.contains { $0.mechanism.degree != nil && $0.cuSeqlens != nil })
        #expect(problems.contains { $0.mechanism.degree == nil && $0.cuSeqlens != nil })
        #expect(problems.contains(where: \.states) && problems.contains { $0.shape.length == 0 })
        #expect(problems.contains { $0.numbers == .someZeros } && problems.contains { $0.gates == .closing })
        #expect(problems.contains { $0.shape.keyWidth == 128 } && problems.contains { $0.tile > 1 })
    }
}
