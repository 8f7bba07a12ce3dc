import Foundation
package import PowerAttention

/// One line of `power bench op`: what was timed, how long it took, and the rates that follow.
package struct OperatorMeasurement: Sendable, Codable {
    package var name, device, mechanism: String
    /// The power, or `nil` for exponential attention.
    package var degree: Int?
    /// τ, the tile of the symmetric power, or `nil` for exponential attention.
    package var tile: Int?
    package var dtype: String
    package var batch, length, queryHeads, keyHeads, width, valueWidth: Int
    package var gated: Bool
    package var form: String
    /// Tokens in a chunk.
    package var chunk: Int
    package var pass: String
    /// The median of all rounds.
    package var milliseconds: Double
    /// 10¹² of `flops` a second.
    package var tflops: Double
    /// 10⁹ of `bytes` a second.
    package var gbytesPerSecond: Double
    package var flops, bytes: Double
    /// The median of plain copies that move `bytes`, and their time over that of the pass; decoding's limit, and `nil` for other passes.
    package var copyMilliseconds, copyShare: Double?
    package var flopFormula: String
    package var rounds: Int
    /// Calls of every round, one after another; times are of one.
    package var calls: Int
    package var compileSeconds: Double
    package var card, driver, commit: String

    enum CodingKeys: String, CodingKey {
        case name, device, mechanism, degree, tile, dtype, batch, length
        case queryHeads = "query_heads"
        case keyHeads = "key_heads"
        case width
        case valueWidth = "value_width"
        case gated, form, chunk, pass, milliseconds, tflops
        case gbytesPerSecond = "gbytes_per_second"
        case flops, bytes
        case copyMilliseconds = "copy_milliseconds"
        case copyShare = "copy_share"
        case flopFormula = "flop_formula"
        case rounds, calls
        case compileSeconds = "compile_seconds"
        case card, driver, commit
    }

    /// Times one pass.
    ///
    /// - Parameter compileSeconds: what the timer's preparation took.
    package init(
        _ benchmark: OperatorBenchmark, _ pass: OperatorPass, timer: any OperatorTimer, device: Device, rounds: Int,
        calls: Int, compileSeconds: Double, commit: String
    ) throws(PowerAttentionError) {
        let work = try OperatorWork(benchmark, pass, device: device)
        let seconds = Timing.median(try timer.time(pass, rounds: rounds, calls: calls))
        name = "power-attention"
        self.device = device.rawValue
        switch benchmark.configuration.mechanism {
        case .power(let degree): (mechanism, self.degree, tile) = ("power", degree, benchmark.configuration.tile)
        case .exponential(let window): mechanism = "exponential" + (window.map { " window \($0)" } ?? "")
        }
        dtype = benchmark.dataType.rawValue
        (batch, length) = (benchmark.batch, benchmark.length)
        (queryHeads, keyHeads) = (benchmark.queryHeads, benchmark.keyHeads)
        (width, valueWidth) = (benchmark.keyWidth, benchmark.valueWidth)
        gated = benchmark.gated
        form = work.form.rawValue
        chunk = work.chunkSize
        self.pass = pass.rawValue
        milliseconds = 1e3 * seconds
        (flops, bytes, flopFormula) = (work.operations, work.bytes, work.formula)
        tflops = work.operations / seconds / 1e12
        gbytesPerSecond = work.bytes / seconds / 1e9
        if pass == .decode {
            let copy = Timing.median(try timer.timeCopy(bytes: Int(work.bytes), rounds: rounds, calls: calls))
            (copyMilliseconds, copyShare) = (1e3 * copy, copy / seconds)
        }
        (self.rounds, self.calls) = (rounds, calls)
        self.compileSeconds = compileSeconds
        (card, driver) = (timer.cardName, timer.driverVersion)
        self.commit = commit
    }

    /// One line of JSON, keys in the order of the alphabet.
    package var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}
