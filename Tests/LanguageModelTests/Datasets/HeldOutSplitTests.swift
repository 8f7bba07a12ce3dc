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

    /// What is in a folder, and nothing whose name merely begins like it; the amount is that of the others.
    @Test func namesFolders() throws {
        let names = ["fs/", "fs/ext4/", "fs/ext4/inode.c…", "fs/ext4.c", "fs/ext40/", "net/a.c", "net/b.c"]
        var split = HeldOutSplit(.documents(0))
        split.paths = ["./fs/ext4/", "net/b.c"]
        #expect(try chosen(split, names) == ["fs/ext4/", "fs/ext4/inode.c…", "net/b.c"])
        split.amount = .documents(2)
        #expect(try chosen(split, names).count == 5)
        for paths in [["fs/ext4/inode"], [""], ["."], ["fs", "net"]] {
            split.paths = paths
            split.amount = .documents(0)
            #expect(throws: PowerAttentionError.self) { try split.heldOut(among: names) }
        }
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
