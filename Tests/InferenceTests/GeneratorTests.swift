import Inference
import LanguageModel
import Tensors
import Testing

@Suite struct GeneratorTests {
    private func model(_ mixer: Mixer = .power(degree: 2)) throws -> LanguageModel {
        try LanguageModel(ModelConfiguration(vocabularySize: 40, layers: 2, width: 32, heads: 2, mixer: mixer), seed: 5)
    }

    private func tokens(_ generator: inout Generator, _ count: Int) throws -> [Int32] {
        try (0..<count).map { _ in try generator.next() }
    }

    @Test func sameSeed() throws {
        let model = try model()
        func run(_ seed: UInt64) throws -> [Int32] {
            var generator = try Generator(model, SamplingOptions(seed: seed))
            try generator.read([1, 2, 3])
            return try tokens(&generator, 30)
        }
        #expect(try run(1) == run(1))
        #expect(try run(1) != run(2))
    }

    /// A copy continues on its own, as a value does.
    @Test func copies() throws {
        var first = try Generator(model(), SamplingOptions(seed: 3))
        try first.read([7])
        _ = try tokens(&first, 5)
        var second = first
        let continuation = try tokens(&first, 10)
        #expect(try tokens(&second, 10) == continuation)
    }

    /// The likeliest token, which does not depend on how the prompt is cut or when the state takes over.
    @Test func greedy() throws {
        let model = try model()
        func run(_ parts: [[Int32]], switchOver: Int?) throws -> [Int32] {
            var generator = try Generator(model, SamplingOptions(temperature: 0), switchOver: switchOver)
            for part in parts { try generator.read(part) }
            return try tokens(&generator, 20)
        }
        let expected = try run([[1, 2, 3, 4, 5, 6]], switchOver: nil)
        #expect(try run([[1], [2, 3], [4, 5, 6]], switchOver: nil) == expected)
        #expect(try run([[1, 2, 3, 4, 5, 6]], switchOver: 1) == expected)
        #expect(try run([[1, 2, 3], [4, 5, 6]], switchOver: 10) == expected)
    }

    /// What the model remembers stops growing, except for exponential attention over the whole context.
    @Test(arguments: [Mixer.power(degree: 2), .linear, .exponential(window: 16), .exponential])
    func memory(mixer: Mixer) throws {
        var generator = try Generator(model(mixer), switchOver: 32)
        let prompt = (0..<100).map { Int32($0 % 40) }
        try generator.read(prompt)
        var sizes: Set<Int> = []
        for _ in 0..<100 {
            _ = try generator.next()
            sizes.insert(generator.state.byteCount)
        }
        #expect(generator.state.tokens == 200)
        switch mixer {
        case .power, .linear: #expect(sizes.count == 1)
        case .exponential(.some(let window)):
            #expect(sizes.max()! <= 2 * window * 2 * 2 * (16 + 16 + 1) * MemoryLayout<Float>.size)
        case .exponential(nil): #expect(sizes.count == 100)
        }
    }

    @Test func streaming() throws {
        var generator = try Generator(model(), SamplingOptions(seed: 9))
        #expect(throws: PowerAttentionError.self) { try generator.next() }
        #expect(throws: PowerAttentionError.self) { try generator.read([1, 40]) }
        #expect(generator.state.tokens == 0)
        try generator.read([1])
        var copy = generator
        let expected = try tokens(&copy, 12)
        var received: [Int32] = []
        var whole = generator
        #expect(
            try whole.stream(limit: 12) {
                received.append($0); return true
            } == 12)
        #expect(received == expected)
        var stopped = generator
        #expect(try stopped.stream(limit: 12) { _ in false } == 1)
        var ended = generator
        let end = expected[4]
        #expect(try ended.stream(limit: 12, end: end) { $0 != end } == expected.firstIndex(of: end))
        #expect(try generator.stream(limit: 0) { _ in true } == 0)
    }
}
