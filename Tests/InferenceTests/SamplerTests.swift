import Foundation
import Inference
import Tensors
import Testing

@Suite struct SamplerTests {
    /// Logits of the probabilities 0.4, 0.3, 0.2, 0.1 and, a thousand times less likely together, 96 more.
    static let logits = Tensor(
        [100], [0.2, 0.1, 0.4, 0.3].map { Float(log($0)) } + [Float](repeating: Float(log(1e-3 / 96)), count: 96))

    private func frequencies(_ options: SamplingOptions, count: Int = 20_000) throws -> [Double] {
        var sampler = try Sampler(options)
        var frequencies = [Double](repeating: 0, count: 100)
        for _ in 0..<count { frequencies[Int(try sampler.draw(Self.logits))] += 1 / Double(count) }
        return frequencies
    }

    /// Expected shares against drawn ones: the deviation of a share is 1/√(4·20,000) at most; five of them are allowed.
    private func expect(_ options: SamplingOptions, _ shares: [Double], rest: Double = 0) throws {
        let drawn = try frequencies(options)
        for (token, share) in shares.enumerated() { #expect(abs(drawn[token] - share) < 0.018, "token \(token)") }
        let others = drawn[shares.count...].reduce(0, +)
        #expect(rest == 0 ? others == 0 : abs(others - rest) < 0.005)
    }

    @Test func distribution() throws {
        try expect(SamplingOptions(seed: 1), [0.2, 0.1, 0.4, 0.3], rest: 0.001)
        // Temperature 1/2 squares the probabilities.
        try expect(
            SamplingOptions(temperature: 0.5, seed: 2), [0.04, 0.01, 0.16, 0.09].map { $0 / 0.30 }, rest: 1e-8)
        try expect(SamplingOptions(temperature: 0, seed: 3), [0, 0, 1, 0])
    }

    @Test func topK() throws {
        try expect(SamplingOptions(topK: 1, seed: 4), [0, 0, 1, 0])
        try expect(SamplingOptions(topK: 2, seed: 5), [0, 0, 4.0 / 7, 3.0 / 7])
        try expect(SamplingOptions(topK: 4, seed: 6), [0.2, 0.1, 0.4, 0.3])
        try expect(SamplingOptions(topK: 1000, seed: 7), [0.2, 0.1, 0.4, 0.3], rest: 0.001)
    }

    @Test func topP() throws {
        try expect(SamplingOptions(topP: 0.3, seed: 8), [0, 0, 1, 0])
        try expect(SamplingOptions(topP: 0.5, seed: 9), [0, 0, 4.0 / 7, 3.0 / 7])
        try expect(SamplingOptions(topP: 0.95, seed: 10), [0.2, 0.1, 0.4, 0.3])
        try expect(SamplingOptions(topP: 1, seed: 11), [0.2, 0.1, 0.4, 0.3], rest: 0.001)
        // The nucleus is that of the tokens that top-k leaves.
        try expect(SamplingOptions(topK: 2, topP: 0.55, seed: 12), [0, 0, 1, 0])
    }

    /// The k likeliest of many, some of them equally likely, against sorting.
    @Test func selection() throws {
        var generator = RandomGenerator(seed: 13)
        for count in [1, 2, 3, 10, 1000] {
            for k in [1, 2, 5, 500, 999] where k <= count {
                let logits = (0..<count).map { _ in Float(generator.next() % 50) / 10 }
                let expected = logits.indices.sorted { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }.prefix(k)
                var sampler = try Sampler(SamplingOptions(topK: k, seed: generator.next()))
                for _ in 0..<20 {
                    #expect(expected.contains(Int(try sampler.draw(Tensor([count], logits)))))
                }
            }
        }
    }

    @Test func extremes() throws {
        var sampler = try Sampler(SamplingOptions(temperature: 1e-300))
        #expect(try sampler.draw(Tensor([3], [1, 3, 2] as [Float])) == 1)
        #expect(try sampler.draw(Tensor([3], [-.infinity, -1e38, -.infinity] as [Float])) == 1)
        #expect(throws: PowerAttentionError.self) { try sampler.draw(Tensor([2], [1, Float.nan])) }
        #expect(throws: PowerAttentionError.self) { try sampler.draw(Tensor([2], [1, Float.infinity])) }
        #expect(throws: PowerAttentionError.self) { try sampler.draw(Tensor([1], [-Float.infinity])) }
    }

    @Test func badOptions() {
        for options in [
            SamplingOptions(temperature: -1), SamplingOptions(temperature: .nan), SamplingOptions(temperature: .infinity),
            SamplingOptions(topK: 0), SamplingOptions(topP: 0), SamplingOptions(topP: 1.5), SamplingOptions(topP: .nan),
        ] {
            #expect(throws: PowerAttentionError.self) { try options.validate() }
        }
    }
}
