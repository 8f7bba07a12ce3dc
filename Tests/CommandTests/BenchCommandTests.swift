import Foundation
import Testing

/// `power bench op` as a process.
@Suite struct BenchCommandTests {
    private struct Line: Decodable {
        var name, device, mechanism, dtype, form, pass, flop_formula, card, driver, commit: String
        var degree, tile: Int?
        var batch, length, query_heads, key_heads, width, value_width, chunk, rounds, calls: Int
        var gated: Bool
        var milliseconds, tflops, gbytes_per_second, flops, bytes, compile_seconds: Double
        var copy_milliseconds, copy_share: Double?
    }

    private func lines(_ options: [String]) throws -> [Line] {
        let result = try PowerProcess.run(["bench", "op", "--json", "--rounds", "2"] + options)
        #expect(result.status == 0, "\(result.errors)")
        return try result.output.split(separator: "\n").map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
    }

    @Test func contextsAndPasses() throws {
        let lines = try lines(
            [
                "--tokens", "256", "--context", "256", "64", "--heads", "4", "--key-heads", "2", "--width", "16", "--form",
                "attention",
            ])
        #expect(lines.map(\.pass) == ["forward", "backward", "both", "forward", "backward", "both"])
        #expect(lines.map(\.length) == [256, 256, 256, 64, 64, 64] && lines.map(\.batch) == [1, 1, 1, 4, 4, 4])
        let first = lines[0]
        #expect(first.name == "power-attention" && first.device == "cpu" && first.mechanism == "power")
        #expect(first.degree == 2 && first.tile == 1)
        #expect(first.dtype == "bfloat16" && first.gated && first.form == "attention" && first.rounds == 2 && first.calls == 1)
        #expect(first.query_heads == 4 && first.key_heads == 2 && first.width == 16 && first.value_width == 16)
        // 2(d + e) a query head and pair; q, k, v, y in two bytes, gates in four.
        let pairs = 256 * 257 / 2
        #expect(first.flops == Double(2 * 32 * 4 * pairs))
        let bytes = 2 * 6 * 32 + 4 * 2
        #expect(first.bytes == Double(256 * bytes))
        for line in lines {
            #expect(line.milliseconds > 0 && !line.flop_formula.isEmpty && !line.card.isEmpty && !line.driver.isEmpty)
            #expect(abs(line.tflops * line.milliseconds * 1e9 / line.flops - 1) < 1e-6)
            #expect(abs(line.gbytes_per_second * line.milliseconds * 1e6 / line.bytes - 1) < 1e-6)
            #expect(line.copy_milliseconds == nil && line.copy_share == nil)
        }
        #expect(lines[1].flops == 2.5 * first.flops && lines[2].flops == 3.5 * first.flops)
    }

    /// A token of every sequence reads and writes its state, D = d(d + 1)/2 rows of e + 1 numbers in float32.
    @Test func decoding() throws {
        let lines = try lines([
            "--pass", "decode", "--batch", "3", "--heads", "2", "--width", "8", "--dtype", "float32", "--no-gated", "--calls",
            "3",
        ])
        #expect(lines.count == 1)
        let line = try #require(lines.first)
        #expect(
            line.calls == 3 && line.batch == 3 && line.length == 1 && line.form == "recurrent" && line.pass == "decode"
                && !line.gated)
        let state = 3 * 2 * 36 * 9
        let numbers = 3 * 2 * 2 * 16
        #expect(line.bytes == Double(2 * 4 * state + 4 * numbers))
        let (copy, share) = (try #require(line.copy_milliseconds), try #require(line.copy_share))
        #expect(copy > 0 && abs(share * line.milliseconds / copy - 1) < 1e-6)
    }

    /// D = C(⌈d/τ⌉ + p − 1, p) τ^p features of e numbers, for tokens that read a state, and for those that are added to one.
    @Test func theTileOfThePower() throws {
        let options = ["--degree", "3", "--tile", "4", "--width", "8", "--heads", "1", "--tokens", "64", "--dtype", "float32"]
        let line = try #require(try lines(options + ["--form", "chunked", "--chunk-size", "32", "--pass", "forward"]).first)
        let pairs = 2 * 32 * 33 / 2, tokens = 32 + 32
        #expect(line.tile == 4 && line.flops == Double(2 * 16 * pairs + 2 * 256 * 8 * tokens))
    }

    @Test func exponentialAttention() throws {
        let options = ["--mechanism", "exponential", "--window", "16", "--tokens", "64", "--heads", "1", "--width", "8"]
        let line = try #require(try lines(options + ["--pass", "forward"]).first)
        #expect(line.mechanism == "exponential window 16" && line.degree == nil && line.tile == nil)
        let pairs = 16 * 17 / 2 + 48 * 16
        #expect(line.flops == Double(2 * 16 * pairs))
    }

    @Test func table() throws {
        let result = try PowerProcess.run(["bench", "op", "--tokens", "64", "--heads", "1", "--width", "8", "--rounds", "1"])
        let rows = result.output.split(separator: "\n")
        #expect(result.status == 0 && rows.count == 4, "\(result.errors)")
        #expect(rows[0].contains("TFLOP/s") && rows[3].contains("both"))
        let decoding = try PowerProcess.run([
            "bench", "op", "--pass", "decode", "--batch", "2", "--width", "8", "--rounds", "1",
        ])
        let cells = decoding.output.split(separator: "\n").map { $0.split(separator: " ").count }
        #expect(rows[0].contains("of copy") && rows[3].contains("–") && decoding.output.contains("%"))
        #expect(cells.count == 2 && cells[1] == 11, "\(decoding.output)")
    }

    @Test(arguments: [
        (["op", "--context", "100", "--tokens", "256"], "--context"), (["op", "--rounds", "0"], "--rounds"),
        (["op", "--calls", "0"], "--calls"), (["op", "--tokens", "0"], "--tokens"), (["op", "--dtype", "int32"], "--dtype"),
        (["op", "--degree", "9"], "degree"),
        (["op", "--tile", "0"], "tile"), (["op", "--mechanism", "exponential", "--tile", "4"], "--tile"),
        (["op", "--window", "4"], "--window"), (["op", "--mechanism", "exponential", "--pass", "decode"], "--pass"),
        (["op", "--pass", "sideways"], "sideways"), (["op", "--heads", "3", "--key-heads", "2", "--tokens", "8"], "heads"),
        (["nothing"], "nothing"), (["--rounds", "0"], "--rounds"), (["products", "--rounds", "0"], "--rounds"),
    ])
    func faults(options: [String], word: String) throws {
        let result = try PowerProcess.run(["bench"] + options)
        #expect(result.status == 64 && result.errors.contains(word), "\(options): \(result.status) \(result.errors)")
    }

    @Test func helpOfAllParts() throws {
        let result = try PowerProcess.run(["bench", "--help"])
        #expect(result.status == 0 && result.output.contains("op") && result.output.contains("tables"))
    }
}
