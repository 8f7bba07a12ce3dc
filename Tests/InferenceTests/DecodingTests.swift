import Foundation
import Inference
import LanguageModel
import Tensors
import Testing

/// Token by token, through states and caches, a model computes what it computes for all tokens at once.
@Suite struct DecodingTests {
    static let mixers: [Mixer] = [
        .power(degree: 1), .power(degree: 2), .power(degree: 3), .power(degree: 4), .exponential, .exponential(window: 5),
        .linear,
    ]

    /// `−log p` of every next token, out of the logits that a state gives when it reads `parts` one after the other.
    private func losses(
        _ model: LanguageModel, _ tokens: [Int32], parts: [Int], switchOver: Int?
    ) throws -> [Int: Double] {
        var state = try model.makeState(switchOver: switchOver)
        var losses: [Int: Double] = [:]
        for part in parts {
            let start = state.tokens
            let logits = try model.advance(&state, Array(tokens[start..<start + part]))
            guard state.tokens < tokens.count else { break }
            let scores = logits.converted(to: .float64).array(of: Double.self)
            let largest = scores.max()!
            let sum = scores.reduce(0) { $0 + exp($1 - largest) }
            losses[state.tokens - 1] = log(sum) + largest - scores[Int(tokens[state.tokens])]
        }
        return losses
    }

    private func check(
        _ mixer: Mixer, gated: Bool, _ dataType: DataType, parts: [Int], switchOver: Int?, tolerance: Double
    ) throws {
        let configuration = ModelConfiguration(
            vocabularySize: 23, layers: 2, width: 24, heads: 4, keyValueHeads: 2, mixer: mixer, gated: gated)
        let model = try LanguageModel(configuration, seed: 1, dataType: dataType)
        var generator = RandomGenerator(seed: 2)
        for parameter in model.parameters {
            let noise = generator.normal(parameter.value.shape, .float64, scale: 0.2).array(of: Double.self)
            let values = parameter.value.converted(to: .float64).array(of: Double.self)
            parameter.value = Tensor(parameter.value.shape, zip(values, noise).map(+)).converted(to: dataType)
        }
        let count = parts.reduce(0, +)
        let tokens = (0..<count).map { _ in Int32(generator.next() % 23) }
        let expected = try model.losses(tokens, targets: tokens[1...] + [-1], batch: 1, length: count)
            .converted(to: .float64).array(of: Double.self)
        for (position, loss) in try losses(model, tokens, parts: parts, switchOver: switchOver) {
            #expect(abs(loss - expected[position]) < tolerance, "token \(position) of \(mixer), gates \(gated)")
        }
    }

    @Test(arguments: mixers, [false, true])
    func tokenByToken(mixer: Mixer, gated: Bool) throws {
        for switchOver in [nil, 1, 7] {
            try check(
                mixer, gated: gated, .float64, parts: .init(repeating: 1, count: 14), switchOver: switchOver, tolerance: 1e-9)
            try check(
                mixer, gated: gated, .float32, parts: .init(repeating: 1, count: 40), switchOver: switchOver, tolerance: 1e-3)
        }
    }

    @Test(arguments: mixers, [[9, 1, 1, 6, 1, 20, 1, 1], [1, 1, 17, 1, 1, 1, 3, 1]])
    func parts(mixer: Mixer, parts: [Int]) throws {
        for switchOver in [nil, 1, 12] {
            try check(mixer, gated: true, .float32, parts: parts, switchOver: switchOver, tolerance: 1e-3)
        }
    }

    @Test func errors() throws {
        let model = try LanguageModel(ModelConfiguration(vocabularySize: 5, layers: 1, width: 8, heads: 2), seed: 1)
        let deeper = try LanguageModel(ModelConfiguration(vocabularySize: 5, layers: 2, width: 8, heads: 2), seed: 1)
        let wider = try LanguageModel(ModelConfiguration(vocabularySize: 5, layers: 1, width: 16, heads: 2), seed: 1)
        var state = try model.makeState()
        #expect(throws: PowerAttentionError.self) { try model.advance(&state, []) }
        #expect(throws: PowerAttentionError.self) { try model.advance(&state, [5]) }
        #expect(throws: PowerAttentionError.self) { try model.advance(&state, [-1]) }
        #expect(throws: PowerAttentionError.self) { try deeper.advance(&state, [1]) }
        #expect(throws: PowerAttentionError.self) { try wider.advance(&state, [1]) }
        #expect(throws: PowerAttentionError.self) { try model.makeState(switchOver: 0) }
    }
}
