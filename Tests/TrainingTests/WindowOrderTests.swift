import Tensors
import Testing

import Training

@Suite struct WindowOrderTests {
    @Test(arguments: [(2, 1), (10, 3), (64, 64 / 4), (1000, 7), (4097, 1), (65, 64)])
    func everyEpochReadsEveryWindowOnce(tokenCount: Int, context: Int) throws {
        let order = try WindowOrder(tokenCount: tokenCount, context: context, seed: 3)
        let count = order.windowsPerEpoch
        for epoch in 0..<3 {
            let starts = (0..<count).map { order.start(of: epoch * count + $0) }
            #expect(Set(starts).count == count)
            #expect(starts.allSatisfy { (0..<tokenCount).contains($0) })
            let first = starts.min() ?? 0
            let gaps = Set(starts.map { ($0 - first) % context })
            #expect(epoch > 0 || (first == 0 && gaps == [0]), "the first epoch is cut at token 0")
        }
    }

    @Test func dependsOnTheSeedAndTheEpoch() throws {
        let first = try WindowOrder(tokenCount: 10_000, context: 10, seed: 1)
        let second = try WindowOrder(tokenCount: 10_000, context: 10, seed: 2)
        let starts = (0..<1000).map { first.start(of: $0) }
        #expect(starts != (0..<1000).map { second.start(of: $0) })
        #expect(starts != (0..<1000).map { first.start(of: 1000 + $0) })
        #expect(starts != starts.sorted())
        #expect(starts == (0..<1000).map { first.start(of: $0) })
    }

    @Test func refusesTextThatIsTooShort() {
        #expect(throws: PowerAttentionError.self) { try WindowOrder(tokenCount: 8, context: 8, seed: 1) }
        #expect(throws: PowerAttentionError.self) { try WindowOrder(tokenCount: 0, context: 1, seed: 1) }
    }
}

@Suite struct TokenRingTests {
    private let ring = TokenRing(
        ArraySource(tokens: Array(0..<20)), documents: [2..<5, 7..<7, 10..<12, 12..<12, 15..<19])
    private let laidOut: [Int32] = [2, 3, 4, 10, 11, 15, 16, 17, 18]

    @Test(arguments: 0..<9, [0, 1, 3, 9, 20])
    func laysDocumentsEndToEnd(start: Int, count: Int) throws {
        #expect(ring.tokenCount == 9)
        let expected = (0..<count).map { laidOut[(start + $0) % 9] }
        #expect(try ring.tokens(from: start, count: count) == expected)
    }
}

@Suite struct BatchTests {
    @Test func targetsAreTheNextTokens() throws {
        var configuration = TrainingConfiguration()
        configuration.context = 5
        configuration.batchSize = 4
        configuration.accumulation = 2
        let ring = TokenRing(ArraySource(tokens: Array(0..<100)), documents: [0..<100])
        let batches = try BatchSequence(ring, configuration)
        let parts = try (0..<2).map { try batches.batch(step: 3, part: $0) }
        for part in parts {
            #expect(part.rows == 2 && part.length == 5 && part.tokens.count == 10)
            #expect(part.targets == part.tokens.map { ($0 + 1) % 100 })
        }
        configuration.accumulation = 1
        let whole = try BatchSequence(ring, configuration).batch(step: 3, part: 0)
        #expect(whole.tokens == parts[0].tokens + parts[1].tokens, "how a batch is cut does not change what is in it")
        #expect(try batches.batch(step: 4, part: 0) != parts[0])
    }
}
