import ArgumentParser
import Benchmarks
import Foundation
import PowerAttention
import SourceCommit

/// `power bench op`: times the operator on one shape or several.
struct BenchOperatorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "op", abstract: "Time the operator, forward, backward, both or decoding.",
        discussion: """
            Medians. TFLOP/s are of the FLOPs that the definition of the form needs (backward: 2.5 times forward; the formula is part \
            of the JSON), GB/s of inputs, outputs and states, each moved once. Each context divides the tokens into as many \
            sequences as fit; decoding takes one token of every sequence of --batch.

            Beside decoding, which moves its state once and little else, stands a plain copy that moves the same bytes, timed in the \
            same way, and that time's share of decoding's: 100% is as fast as the bytes can be moved at this batch. A call as short \
            as at batch 1 costs a few microseconds whatever it moves.

            On a GPU: time on the device by events, with the second-level cache flushed before every run. Exponential attention \
            without gates is cuDNN's where there is one; with POWER_CUDNN=off it is not, with POWER_CUDNN=require it surely is. \
            A card that is busy for long runs at a lower clock than in a short run: what takes 16 times as long as another call is \
            to be compared with 16 --calls of that.

              power bench op --device cuda --context 65536 16384 4096 1024
              power bench op --device cuda --pass decode --batch 32 --json
              power bench op --tokens 8192 --heads 4 --dtype float32
            """)

    @Option(help: "The device: cpu, cuda or reference.") var device = Device.cpu
    @Flag(help: "Print a line of JSON for each measurement.") var json = false
    @Option(help: "Tokens of all sequences.") var tokens = 65_536
    @Option(parsing: .upToNextOption, help: "Tokens of a sequence (default: all).") var context: [Int] = []
    @Option(help: "Sequences of which decoding takes a token.") var batch = 32
    @Option(help: "Query heads.") var heads = 8
    @Option(help: "Key and value heads, if fewer.") var keyHeads: Int?
    @Option(help: "Width of queries and keys.") var width = 64
    @Option(help: "Width of values, if another.") var valueWidth: Int?
    @Option(help: "What is computed: power or exponential.") var mechanism = MechanismName.power
    @Option(help: "The power p: 1, 2, 3 or 4.") var degree = 2
    @Option(help: "The tile of the symmetric power, which the FLOPs of its definition are counted for.") var tile = 1
    @Option(help: "The window of exponential attention, in tokens.") var window: Int?
    @Flag(inversion: .prefixedNo, help: "Use gates.") var gated = true
    @Option(help: "The type of the inputs: float32, bfloat16 or float16.") var dtype = DataType.bfloat16
    @Option(help: "Attention, chunked, recurrent or auto.") var form = AttentionConfiguration.Form.automatic
    @Option(help: "Tokens in a chunk; chosen by cost if not given.") var chunkSize: Int?
    @Option(name: .customLong("pass"), parsing: .upToNextOption, help: "What to time: forward, backward, both, decode.")
    var passes: [OperatorPass] = [.forward, .backward, .both]
    @Option(help: "Counted runs of every measurement.") var rounds = 5
    @Option(help: "Calls of a run, one after another; times are of one.") var calls = 1

    enum MechanismName: String, ExpressibleByArgument, CaseIterable { case power, exponential }

    func validate() throws {
        let positive = [
            ("--rounds", rounds), ("--calls", calls), ("--tokens", tokens), ("--batch", batch), ("--heads", heads),
            ("--width", width),
        ]
        for (name, value) in positive where value < 1 {
            throw ValidationError("\(name): \(value) given, expected at least 1")
        }
        for context in context where context < 1 || !tokens.isMultiple(of: context) {
            throw ValidationError("--context: \(context) given, expected a divisor of the \(tokens) tokens")
        }
        try dtype.checkInput()
        guard mechanism == .exponential || window == nil else {
            throw ValidationError("--window: \(window ?? 0) given with a power, expected --mechanism exponential")
        }
        guard mechanism == .power || tile == 1 else {
            throw ValidationError("--tile: \(tile) given with exponential attention, which has no state; expected a power")
        }
        guard mechanism == .power || !passes.contains(.decode) else {
            throw ValidationError("--pass: decode given with exponential attention, which has no state; expected a power")
        }
    }

    func run() throws {
        let commit = SourceCommit.description
        if !json { try StandardOutput.line(OperatorTable.head) }
        for context in context.isEmpty ? [tokens] : context {
            try measure(passes.filter { $0 != .decode }, batch: tokens / context, length: context, commit)
        }
        if passes.contains(.decode) { try measure([.decode], batch: batch, length: 1, commit) }
    }

    private func measure(_ passes: [OperatorPass], batch: Int, length: Int, _ commit: String) throws {
        guard !passes.isEmpty else { return }
        let configuration = AttentionConfiguration(
            mechanism == .power ? .power(degree: degree) : .exponential(window: window),
            form: passes == [.decode] ? .recurrent : form, chunkSize: chunkSize, tile: tile)
        var benchmark = OperatorBenchmark(
            configuration, batch: batch, length: length, queryHeads: heads, keyHeads: keyHeads ?? heads, keyWidth: width,
            valueWidth: valueWidth ?? width, gated: gated)
        benchmark.dataType = dtype
        benchmark.startsWithState = passes == [.decode]
        // What is illegal is an error before inputs of its size are made.
        for pass in passes { _ = try OperatorWork(benchmark, pass, device: device) }
        let timer = try benchmark.timer(on: device)
        let compileSeconds = try timer.prepare()
        for pass in passes {
            let measurement = try OperatorMeasurement(
                benchmark, pass, timer: timer, device: device, rounds: rounds, calls: calls,
                compileSeconds: compileSeconds, commit: commit)
            try StandardOutput.line(json ? measurement.json : OperatorTable.line(measurement))
        }
    }
}
