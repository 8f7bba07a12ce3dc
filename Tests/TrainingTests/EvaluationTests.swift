import Foundation
import Tensors
import Testing

import Training

@Suite struct ContextBinsTests {
    @Test func areEvenlySpacedInLogPosition() {
        #expect(ContextBins(context: 16, binsPerDoubling: 1).ranges == [0..<1, 1..<2, 2..<4, 4..<8, 8..<16])
        #expect(
            ContextBins(context: 16, binsPerDoubling: 2).ranges
                == [0..<1, 1..<2, 2..<3, 3..<4, 4..<6, 6..<8, 8..<11, 11..<16])
    }

    @Test(arguments: [1, 2, 3, 7, 100, 1000, 1024, 65_535, 65_536])
    func coverTheContextOnce(context: Int) {
        let bins = ContextBins(context: context)
        #expect(bins.context == context)
        #expect(bins.ranges.first == 0..<1)
        for (range, next) in zip(bins.ranges, bins.ranges.dropFirst()) {
            #expect(range.upperBound == next.lowerBound && !range.isEmpty && !next.isEmpty)
        }
    }
}

@Suite struct InContextCurveTests {
    /// Two windows of four positions, worked out by hand.
    @Test func hasTheMeansAndErrorsOfItsWindows() throws {
        let losses: [[Float]] = [[4, 2, 1, 3], [6, 4, 1, 1]]
        let curve = InContextCurve(losses: losses, documents: 2, bins: ContextBins(context: 4, binsPerDoubling: 1))
        #expect(curve.bins.map(\.from) == [0, 1, 2])
        #expect(curve.bins.map(\.to) == [1, 2, 4])
        #expect(curve.bins.map(\.loss) == [5, 3, 1.5])
        #expect(curve.bins.map(\.count) == [2, 2, 4])
        // Window means 4 and 6: s = √2, over √2 windows. The last bin's are 2 and 1.
        #expect(curve.bins[0].standardError == 1)
        #expect(abs(try #require(curve.bins[2].standardError) - 0.5) < 1e-15)
        #expect(curve.meanLoss == 2.75)
        #expect(abs(try #require(curve.standardError) - 0.25) < 1e-15)
        #expect(curve.tokens == 8 && curve.windows == 2 && curve.documents == 2 && curve.context == 4)
    }

    @Test func hasNoErrorForOneWindow() throws {
        let curve = InContextCurve(losses: [[1, 2]], documents: 1, bins: ContextBins(context: 2))
        #expect(curve.standardError == nil && curve.bins.allSatisfy { $0.standardError == nil })
        let decoded = try JSONDecoder().decode(InContextCurve.self, from: JSONEncoder().encode(curve))
        #expect(decoded == curve)
    }

    @Test func isWrittenWithTheDocumentedKeys() throws {
        let curve = InContextCurve(losses: [[1, 2], [2, 5]], documents: 1, bins: ContextBins(context: 2))
        let object = try JSONSerialization.jsonObject(with: JSONEncoder().encode(curve)) as? [String: Any]
        #expect(
            Set(try #require(object).keys)
                == ["context", "documents", "windows", "tokens", "mean_loss", "standard_error", "bins"])
        let bin = (object?["bins"] as? [[String: Any]])?.first
        #expect(Set(try #require(bin).keys) == ["from", "to", "loss", "standard_error", "count"])
    }
}

@Suite struct HeldOutWindowsTests {
    private let source = ArraySource(tokens: Array(0..<1000))

    @Test func takesEveryDocumentBeforeASecondWindow() throws {
        let documents = [0..<100, 100..<103, 200..<250, 300..<341]
        let two = try HeldOutWindows(source, documents: documents, context: 10, limit: 2)
        #expect(two.starts == [0, 200] && two.documentCount == 2)
        let three = try HeldOutWindows(source, documents: documents, context: 10, limit: 3)
        #expect(three.starts == [0, 200, 300])
        let six = try HeldOutWindows(source, documents: documents, context: 10, limit: 6)
        #expect(six.starts == [0, 40, 200, 220, 300, 320])
        let all = try HeldOutWindows(source, documents: documents, context: 10, limit: 1000)
        #expect(all.starts.count == 9 + 4 + 4 && Set(all.starts).count == 17)
        for index in all.starts.indices {
            let window = try all.window(index)
            #expect(window.count == 11 && documents.contains { $0.contains(Int(window[0])) && $0.contains(Int(window[10])) })
        }
    }

    @Test func refusesDocumentsThatAreAllTooShort() {
        #expect(throws: PowerAttentionError.self) {
            try HeldOutWindows(source, documents: [0..<10, 20..<30], context: 10, limit: 5)
        }
        #expect(throws: PowerAttentionError.self) { try HeldOutWindows(source, documents: [], context: 10, limit: 5) }
    }
}
