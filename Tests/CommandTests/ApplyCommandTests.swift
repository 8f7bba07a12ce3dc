import Foundation
import PowerAttention
import Tensors
import TestSupport
import Testing

/// `power apply` as a process.
@Suite struct ApplyCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func inputs(_ dataType: DataType = .float32, length: Int = 50, gated: Bool = true) -> SafetensorsFile {
        var random = RandomGenerator(seed: 3)
        var file = SafetensorsFile(tensors: [
            "q": random.normal([1, length, 4, 8], dataType), "k": random.normal([1, length, 2, 8], dataType),
            "v": random.normal([1, length, 2, 6], dataType), "dy": random.normal([1, length, 4, 6], dataType),
        ])
        if gated { file.tensors["log_g"] = Tensor([1, length, 2], [Float](repeating: -0.1, count: 2 * length)) }
        return file
    }

    private func apply(_ file: SafetensorsFile, _ options: [String]) throws -> (PowerProcess.Result, SafetensorsFile?) {
        try file.write(to: folder.file("in"))
        try? FileManager.default.removeItem(atPath: folder.file("out"))
        let result = try PowerProcess.run(["apply", folder.file("in"), "-o", folder.file("out")] + options)
        return (result, result.status == 0 ? try SafetensorsFile.read(folder.file("out")) : nil)
    }

    /// The file holds what the library says, bit for bit, in the inputs' type.
    @Test(arguments: [DataType.float32, .float16, .bfloat16]) func agreesWithTheLibrary(_ dataType: DataType) throws {
        let file = inputs(dataType)
        let (result, output) = try apply(file, ["--degree", "2", "--form", "chunked", "--chunk-size", "16", "--tile", "2"])
        #expect(result.status == 0 && result.output.isEmpty, "\(result.errors)")
        let tensors = try #require(output).tensors
        #expect(tensors.keys.sorted() == ["dk", "dlog_g", "dq", "dv", "y"])
        let attention = try AttentionOperator(
            AttentionConfiguration(.power(degree: 2), form: .chunked, chunkSize: 16, tile: 2))
        let (q, k, v) = (try #require(file.tensors["q"]), try #require(file.tensors["k"]), try #require(file.tensors["v"]))
        let y = try attention.forward(q: q, k: k, v: v, logG: file.tensors["log_g"])
        let gradients = try attention.backward(
            q: q, k: k, v: v, logG: file.tensors["log_g"], dy: try #require(file.tensors["dy"]))
        for (name, expected) in [("y", y), ("dq", gradients.q), ("dk", gradients.k), ("dv", gradients.v)] {
            let tensor = try #require(tensors[name])
            #expect(tensor.dataType == dataType && tensor.shape == expected.shape)
            #expect(relativeError(tensor, expected) == 0, "\(name)")
        }
        #expect(tensors["dlog_g"]?.dataType == .float32)
    }

    @Test func withoutGatesAndGradient() throws {
        var file = inputs(gated: false)
        file.tensors["dy"] = nil
        let (_, output) = try apply(file, ["--degree", "3"])
        #expect(try #require(output).tensors.keys.sorted() == ["y"])
    }

    @Test func packedSequencesAndStates() throws {
        var file = inputs()
        file.tensors["cu_seqlens"] = Tensor([4], [0, 20, 20, 50] as [Int32])
        let state = folder.file("state")
        let (first, _) = try apply(file, ["--degree", "2", "--state-out", state])
        #expect(first.status == 0, "\(first.errors)")
        #expect(try RecurrentState.read(state).tokens == [20, 0, 30])
        let (second, _) = try apply(file, ["--degree", "2", "--state-in", state, "--state-out", state])
        #expect(second.status == 0, "\(second.errors)")
        #expect(try RecurrentState.read(state).tokens == [40, 0, 60])
        let (other, _) = try apply(file, ["--degree", "4", "--state-in", state])
        #expect(other.status != 0 && other.errors.contains("degree 2"))
    }

    /// What is wrong is named on the standard error, and no output appears.
    @Test func faults() throws {
        var noKeys = inputs()
        noKeys.tensors["k"] = nil
        var mixed = inputs()
        mixed.tensors["v"] = mixed.tensors["v"]?.converted(to: .float16)
        var offsets = inputs()
        offsets.tensors["cu_seqlens"] = Tensor([2], [0, 50] as [Float])
        let cases: [(SafetensorsFile, [String], String)] = [
            (inputs(), ["--degree", "9"], "degree"), (inputs(), [], "--degree"), (noKeys, ["--degree", "2"], "no tensor k"),
            (mixed, ["--degree", "2"], "float16"), (offsets, ["--degree", "2"], "cu_seqlens"),
            (inputs(), ["--degree", "3", "--normalization", "sum"], "normalization"),
            (inputs(), ["--degree", "2", "--tile", "9"], "tile"), (inputs(), ["--degree", "2", "--scale", "nan"], "scale"),
            (inputs(), ["--degree", "2", "--form", "fast"], "fast"), (inputs(), ["--degree", "2", "--device", "tpu"], "tpu"),
            (inputs(), ["--degree", "2", "--state-in", folder.file("in")], "format"),
        ]
        for (file, options, word) in cases {
            let (result, _) = try apply(file, options)
            #expect(result.status != 0 && result.status < 128, "\(options)")
            #expect(result.errors.contains(word) && result.output.isEmpty, "\(result.errors)")
            #expect(!FileManager.default.fileExists(atPath: folder.file("out")))
        }
    }

    /// A state appears with the output or not at all.
    @Test func noStateWithoutTheOutput() throws {
        let state = folder.file("state")
        var wrong = inputs()
        wrong.tensors["dy"] = Tensor([1, 50, 4, 7], .float32)
        #expect(try apply(wrong, ["--degree", "2", "--state-out", state]).0.errors.contains("dy"))
        #expect(!FileManager.default.fileExists(atPath: state))
        let nowhere = ["apply", folder.file("in"), "-o", folder.file("no/out"), "--degree", "2", "--state-out", state]
        try inputs().write(to: folder.file("in"))
        #expect(try PowerProcess.run(nowhere).status == 74)
        #expect(!FileManager.default.fileExists(atPath: state))
        #expect(try apply(inputs(), ["--degree", "2", "--state-out", folder.file("no/state")]).0.status == 74)
        #expect(!FileManager.default.fileExists(atPath: folder.file("out")))
        #expect(try apply(inputs(), ["--degree", "2", "--state-out", folder.file("./out")]).0.errors.contains("another file"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["in"])
    }

    /// Names from files reach the terminal without their control characters.
    @Test func controlCharactersAreEscaped() throws {
        var file = inputs()
        file.tensors["a\u{1B}[31m\nb"] = Tensor([0], .float32)
        let (result, output) = try apply(file, ["--degree", "2"])
        #expect(output != nil && !result.errors.contains("\u{1B}") && result.errors.split(separator: "\n").count == 1)
        let error = PowerAttentionError(argument: "a\u{1B}[31m", given: "1\n2", expected: "3")
        #expect(!error.description.contains { $0 == "\n" || $0 == "\u{1B}" })
    }
}
