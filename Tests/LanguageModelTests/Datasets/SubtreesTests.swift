import Foundation
import LanguageModel
import Tensors
import TestSupport
import Testing

@Suite struct SubtreesTests {
    let folder = try! TemporaryFolder()

    private func search(_ files: [String: Int], _ bounds: ClosedRange<Int>, separate: [String] = []) throws -> [TextDocument] {
        for (name, size) in files { try folder.write([UInt8](repeating: 65, count: size), to: "tree/\(name)") }
        var search = TextSearch()
        search.joining = .subtrees(bounds)
        search.separate = separate
        return try search.documents(in: [folder.file("tree")]).map { document in
            var document = document
            document.files = document.files.map {
                String(decoding: $0.utf8.dropFirst(folder.file("tree/").utf8.count), as: UTF8.self)
            }
            return document
        }
    }

    @Test func takesLargeFoldersApart() throws {
        let documents = try search(
            [
                "fs/a.c": 30, "fs/ext4/a.c": 40, "fs/ext4/b.c": 50, "fs/small/a.c": 10, "fs/tiny/a/b.c": 5, "fs/z.c": 30,
                "net/a.c": 60, "net/b/b.c": 30,
            ], 50...100)
        #expect(documents.map(\.name) == ["fs/a.c…", "fs/ext4/", "net/"])
        #expect(documents[0].files == ["fs/a.c", "fs/small/a.c", "fs/tiny/a/b.c", "fs/z.c"] && documents[0].byteCount == 75)
        #expect(documents[2].files == ["net/a.c", "net/b/b.c"] && documents[2].byteCount == 90)
    }

    /// What a folder leaves goes to the folder that it is in; what the whole leaves is a short document.
    @Test func whatIsLeftGoesUp() throws {
        let files = ["a/b/1": 60, "a/b/c/1": 70, "a/b/c/2": 10, "a/2": 20, "3": 5, "d/1": 100, "d/2": 40]
        let inner = ["a/b/c/1", "a/b/c/2"]
        #expect(try search(files, 50...100).map(\.files) == [["3", "a/2", "d/2"], ["a/b/1"], inner, ["d/1"]])
        #expect(try search(files, 70...100).map(\.files) == [["3", "d/2"], ["a/2", "a/b/1"], inner, ["d/1"]])
        #expect(try search(files, 500...1000).map(\.name) == ["/"])
    }

    @Test func filesAreNotCut() throws {
        let documents = try search(["a/large": 900, "a/b": 60, "a/c": 60, "a/d": 30], 50...100)
        #expect(documents.map(\.files) == [["a/b"], ["a/c", "a/d"], ["a/large"]])
    }

    /// Text of a separate folder is not joined with any other.
    @Test func separateFolders() throws {
        let files = ["fs/a": 30, "fs/ext4/a": 20, "fs/ext4/b": 10, "fs/ext4.c": 5, "fs/ext40/a": 5]
        let documents = try search(files, 50...100, separate: ["fs/ext4/"])
        #expect(documents.map(\.files) == [["fs/a", "fs/ext4.c", "fs/ext40/a"], ["fs/ext4/a", "fs/ext4/b"]])
        #expect(documents.map(\.name) == ["/", "fs/ext4/"])
        var levels = TextSearch()
        levels.joining = .level(0)
        levels.separate = ["fs/ext4", "fs/a"]
        #expect(try levels.documents(in: [folder.file("tree")]).map(\.name) == ["fs/a", "/", "fs/ext4/"])
        levels.omitted = ["./fs/ext4", "fs/ext4.c"]
        #expect(try levels.documents(in: [folder.file("tree")]).map(\.files.count) == [1, 1])
        levels.omitted.append("fs/ext5")
        let error = #expect(throws: PowerAttentionError.self) { try levels.documents(in: [folder.file("tree")]) }
        #expect(error?.code == .invalidArgument && "\(String(describing: error))".contains("fs/ext5"))
    }

    /// Random trees: every file once, in order, the sizes as promised, and names that differ.
    @Test(arguments: 0..<20) func promises(seed: UInt64) throws {
        var generator = RandomGenerator(seed: seed)
        var files: [String: Int] = [:]
        for _ in 0..<200 {
            let depth = Int.random(in: 0...4, using: &generator)
            let path = (0...depth).map { _ in ["a", "b", "a-b", "\u{301}x", "e\u{301}"].randomElement(using: &generator)! }
            files[path.joined(separator: "/") + ".txt"] = Int.random(in: 1...60, using: &generator)
        }
        let bounds = 40...120
        let documents = try search(files, bounds)
        let found = documents.flatMap(\.files)
        #expect(found.sorted() == files.keys.sorted() && Set(documents.map(\.name)).count == documents.count)
        for document in documents {
            #expect(document.byteCount == document.files.reduce(0) { $0 + files[$1]! })
            #expect(document.files == document.files.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
            #expect(document.byteCount < bounds.lowerBound + bounds.upperBound)
        }
        #expect(documents.count { $0.byteCount < bounds.lowerBound } <= 1)
    }
}
