import LanguageModel
import Tensors
import Testing

@Suite struct HeldOutSplitTests {
    private let names = (0..<100).map { "document \($0)" }

    private func chosen(_ split: HeldOutSplit, _ names: [String]) throws -> Set<String> {
        Set(try zip(names, split.heldOut(among: names)).filter { $1 }.map(\.0))
    }

    @Test func counts() throws {
        #expect(try chosen(HeldOutSplit("7"), names).count == 7)
        #expect(try chosen(HeldOutSplit("0"), names).isEmpty)
        #expect(try chosen(HeldOutSplit("0.05"), names).count == 5)
        #expect(try chosen(HeldOutSplit("12%"), names).count == 12)
        #expect(try chosen(HeldOutSplit("0.0001"), names).count == 1)
        #expect(try chosen(HeldOutSplit(.documents(1)), ["a", "a"]).count == 1)
    }

    /// The choice is by name: the order does not matter, and of the documents chosen before few go when others come.
    @Test func dependsOnNames() throws {
        let split = HeldOutSplit(.documents(20), seed: 1)
        let first = try chosen(split, names)
        #expect(try chosen(split, names.reversed()) == first)
        #expect(try chosen(HeldOutSplit(.documents(20), seed: 2), names) != first)
        #expect(try chosen(split, names + ["another"]).intersection(first).count >= 19)
    }

    @Test(arguments: ["", "-1", "1.0", "1.5", "100%", "0%", "nan", "inf", "five", "1e300"]) func refuses(text: String) {
        #expect(throws: PowerAttentionError.self) { try HeldOutSplit(text) }
    }

    @Test func leavesSomething() {
        #expect(throws: PowerAttentionError.self) { try HeldOutSplit(.documents(2)).heldOut(among: ["a", "b"]) }
        #expect(throws: PowerAttentionError.self) { try HeldOutSplit(.fraction(0.5)).heldOut(among: ["a"]) }
        #expect(throws: PowerAttentionError.self) { try HeldOutSplit(.documents(-1)).heldOut(among: ["a"]) }
        #expect(throws: PowerAttentionError.self) { try HeldOutSplit(.documents(1)).heldOut(among: []) }
    }
}
