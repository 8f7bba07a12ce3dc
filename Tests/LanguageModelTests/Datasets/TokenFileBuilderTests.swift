import Foundation
import LanguageModel
import Tensors
import TestSupport
import Testing

@Suite struct TokenFileBuilderTests {
    let folder = try! TemporaryFolder()

    private func makeTree() throws {
        for (name, text) in [
            ("tree/b.txt", "second\n"), ("tree/a.txt", "first"), ("tree/one/x.md", "one x"), ("tree/one/y.txt", "one y"),
            ("tree/one/deep/z.txt", "one deep z"), ("tree/two/x.txt", "two x"), ("tree/two/image.png", "\u{0}\u{1}"),
            ("tree/two/empty.txt", ""), ("tree/.hidden/h.txt", "hidden"), ("tree/.h.txt", "hidden"),
            ("tree/two/\u{E9}.txt", "last"),
        ] { try folder.write(text.utf8, to: name) }
        let link = folder.file("tree/one/loop")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder.file("tree"))
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("tree/one/nowhere.txt"), withDestinationPath: folder.file("missing.txt"))
    }

    private func names(_ search: TextSearch, excluding excluded: String? = nil) throws -> [String] {
        try search.documents(in: [folder.file("tree")], excluding: excluded).map(\.name)
    }

    @Test func findsFiles() throws {
        try makeTree()
        var search = TextSearch()
        #expect(
            try names(search) == [
                "a.txt", "b.txt", "one/deep/z.txt", "one/x.md", "one/y.txt", "two/image.png", "two/x.txt", "two/\u{E9}.txt",
            ])
        search.extensions = ["md", "txt"]
        #expect(try !names(search).contains("two/image.png"))
        #expect(try !names(search, excluding: folder.file("tree/one/../b.txt")).contains("b.txt"))
        search.joining = .folders
        #expect(try names(search) == ["/", "one/deep/", "one/", "two/"])
        search.joining = .level(1)
        #expect(try names(search) == ["/", "one/", "two/"])
        search.joining = .level(0)
        #expect(try names(search) == ["/"])
        let everything = try search.documents(in: [folder.file("tree")])
        #expect(everything[0].files.count == 7 && everything[0].byteCount == 41)
        #expect(try search.documents(in: [folder.file("tree/two/image.png"), folder.file("tree/two/empty.txt")]).count == 1)
        #expect(throws: PowerAttentionError.self) { try search.documents(in: [folder.file("missing")]) }
    }

    /// Texts that are cut into many parts have the tokens of the whole, in the right documents.
    @Test(arguments: BuiltInTokenizer.allCases, [64, 5000, 1 << 24]) func streams(which: BuiltInTokenizer, batch: Int) throws {
        let tokenizer = try which.load()
        let novel = try String(contentsOfFile: PackageResources.path(of: "austen/persuasion.txt"), encoding: .utf8)
        let texts = [
            String(novel.prefix(40_000)), "short", String(repeating: "nospace", count: 200), "  \n \u{3000} x\u{A0} \n", "\n",
            String(novel.dropFirst(200_000).prefix(9000)), String(repeating: "\u{6F22}\u{5B57} ", count: 300),
        ]
        for (index, text) in texts.enumerated() { try folder.write(text.utf8, to: "tree/\(index).txt") }
        let documents = try TextSearch().documents(in: [folder.file("tree")])
        var builder = TokenFileBuilder(tokenizer)
        builder.batchByteCount = batch
        let heldOut = texts.indices.map { $0 == 2 || $0 == 5 }
        var last: TokenFileBuilder.Progress?
        try builder.build(documents, heldOut: heldOut, to: folder.file("out")) { last = $0 }
        let file = try TokenFile(folder.file("out"))
        for (text, document) in zip(texts, file.documents) {
            #expect(try file.tokens(in: document) == tokenizer.encode(text) + [tokenizer.endOfText])
        }
        #expect(file.heldOutDocuments == [file.documents[2], file.documents[5]])
        #expect(file.tokenizer == which.rawValue && file.vocabularySize == tokenizer.vocabularySize)
        let size = texts.reduce(0) { $0 + $1.utf8.count }
        #expect(last?.bytes == size && last?.tokens == file.tokenCount && last?.documents == texts.count)
    }

    @Test func joinsFiles() throws {
        try makeTree()
        var search = TextSearch()
        search.extensions = ["txt"]
        search.joining = .level(1)
        var builder = TokenFileBuilder(ByteTokenizer())
        builder.endsDocuments = false
        builder.tokenType = .uint32
        let documents = try search.documents(in: [folder.file("tree")])
        try builder.build(documents, heldOut: [false, false, true], to: folder.file("out"))
        let file = try TokenFile(folder.file("out"))
        #expect(file.tokenType == .uint32)
        let texts = try file.documents.map { try ByteTokenizer().decode(file.tokens(in: $0)) }
        #expect(texts == ["first\nsecond\n", "one deep z\none y", "two x\nlast"])
    }

    /// An error in the middle leaves the old file, and nothing else.
    @Test func leavesNothingHalfWritten() throws {
        try folder.write("text".utf8, to: "a.txt")
        try folder.write("old".utf8, to: "out")
        var documents = try TextSearch().documents(in: [folder.file("a.txt")])
        documents.append(TextDocument(name: "gone", files: [folder.file("gone")], byteCount: 1))
        let builder = TokenFileBuilder(ByteTokenizer())
        #expect(throws: PowerAttentionError.self) {
            try builder.build(documents, heldOut: [false, false], to: folder.file("out"))
        }
        #expect(throws: CancellationError.self) {
            try builder.build([documents[0]], heldOut: [false], to: folder.file("out")) { _ in throw CancellationError() }
        }
        #expect(folder.contents == ["a.txt", "out"])
        #expect(try folder.read("out") == Data("old".utf8))
    }
}
