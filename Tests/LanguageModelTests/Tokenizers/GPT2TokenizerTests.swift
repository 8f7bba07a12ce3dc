import Foundation
import LanguageModel
import Tensors
import TestSupport
import Testing

@Suite struct GPT2TokenizerTests {
    /// The ids that tiktoken 0.14.0 gives with the same vocabulary and GPT-2's pattern.
    static let golden: [(text: String, ids: [Int32])] = [
        (
            "",
            []
        ),
        (
            "Hello world",
            [15496, 995]
        ),
        (
            "It's we'll they've you're I'm he'd don't CAN'T 'twas ''s",
            [
                1026, 338, 356, 1183, 484, 1053, 345, 821, 314, 1101, 339, 1549, 836, 470, 15628, 6, 51, 705, 4246, 292, 10148,
                82,
            ]
        ),
        (
            " leading",
            [3756]
        ),
        (
            "trailing ",
            [9535, 4386, 220]
        ),
        (
            "  two  spaces   three",
            [220, 734, 220, 9029, 220, 220, 1115]
        ),
        (
            "\n\nfoo\n bar\t\tbaz \n",
            [198, 198, 21943, 198, 2318, 197, 197, 65, 1031, 220, 198]
        ),
        (
            "\r\nCRLF\r\n\r\nx",
            [201, 198, 34, 7836, 37, 201, 198, 201, 198, 87]
        ),
        (
            "na\u{EF}ve caf\u{E9} \u{2014} \u{201C}quotes\u{201D} \u{2026}",
            [2616, 38776, 40304, 851, 564, 250, 421, 6421, 447, 251, 3926]
        ),
        (
            "\u{65E5}\u{672C}\u{8A9E}\u{306E}\u{30C6}\u{30AD}\u{30B9}\u{30C8}\u{3067}\u{3059}\u{3002}",
            [33768, 98, 17312, 105, 45739, 252, 5641, 24336, 25084, 43302, 30640, 33623, 16764]
        ),
        (
            "\u{41F}\u{440}\u{438}\u{432}\u{435}\u{442}, \u{43C}\u{438}\u{440}! 123\u{664}\u{665}\u{666} \u{BD} \u{2167}",
            [
                140, 253, 21169, 18849, 38857, 16843, 20375, 11, 12466, 120, 18849, 21169, 0, 17031, 149, 97, 149, 98, 149, 99,
                25208, 2343, 227, 100,
            ]
        ),
        (
            "\u{1F469}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{200D}\u{1F466}\u{1F3F3}\u{FE0F}\u{200D}\u{1F308} e\u{301} a\u{300}\u{301}",
            [
                41840, 102, 447, 235, 41840, 102, 447, 235, 41840, 100, 447, 235, 41840, 99, 8582, 237, 111, 37929, 447, 235,
                8582, 234, 230, 304, 136, 223, 257, 136, 222, 136, 223,
            ]
        ),
        (
            "\u{A0}nbsp\u{2003}em\u{3000}ideographic",
            [1849, 77, 24145, 447, 225, 368, 5099, 222, 485, 6826]
        ),
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            [
                24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794,
                24794, 24794, 24794, 24794, 24794, 24794, 24794, 24794,
            ]
        ),
        (
            "<|endoftext|>",
            [27, 91, 437, 1659, 5239, 91, 29]
        ),
        (
            "x = 10**-3; y[i+1] != {z}",
            [87, 796, 838, 1174, 12, 18, 26, 331, 58, 72, 10, 16, 60, 14512, 1391, 89, 92]
        ),
        (
            "\u{200B}\u{200D}\u{FEFF}\u{85}\u{2028}",
            [9525, 447, 235, 171, 119, 123, 126, 227, 447, 101]
        ),
        (
            "\u{1D518}\u{1D52B}\u{1D526}\u{1D520}\u{1D52C}\u{1D521}\u{1D522} \u{1D7D9}\u{1D7DA}\u{1D7DB}",
            [
                47728, 242, 246, 47728, 242, 104, 47728, 242, 99, 47728, 242, 254, 47728, 242, 105, 47728, 242, 94, 47728, 242,
                95, 220, 47728, 253, 247, 47728, 253, 248, 47728, 253, 249,
            ]
        ),
        (
            "' '",
            [6, 705]
        ),
        (
            "'l 'v 're's",
            [6, 75, 705, 85, 705, 260, 338]
        ),
        (
            "\u{661}\u{662}\u{663}abc",
            [149, 94, 149, 95, 149, 96, 39305]
        ),
        (
            "  \u{A0} x",
            [220, 5624, 2124]
        ),
        // U+11DDA became a letter in Unicode 17. As one it would share a piece with what follows, and two bytes would merge.
        (
            "\u{11DDA}\u{9192}",
            [172, 239, 115, 248, 165, 10253]
        ),
    ]

    @Test(arguments: golden) func idsOfTiktoken(text: String, ids: [Int32]) throws {
        let tokenizer = try GPT2Tokenizer.shared()
        #expect(tokenizer.encode(text) == ids)
        #expect(Array(try tokenizer.decode(ids).utf8) == Array(text.utf8))
    }

    @Test func specialTokenWhereAllowed() throws {
        let tokenizer = try GPT2Tokenizer.shared()
        let text = "a<|endoftext|>b<|endoftext|>"
        #expect(tokenizer.encode(text, allowingSpecial: true) == [64, 50256, 65, 50256])
        #expect(!tokenizer.encode(text).contains(50256))
        #expect(try tokenizer.decode([64, 50256, 65, 50256]) == text)
    }

    /// Any bytes come back, UTF-8 or not, through either tokenizer.
    @Test(arguments: BuiltInTokenizer.allCases) func bytesComeBack(which: BuiltInTokenizer) throws {
        let tokenizer = try which.load()
        var generator = RandomGenerator(seed: 3)
        for length in [0, 1, 2, 63, 64, 65, 66, 1000, 70_000] {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(try tokenizer.bytes(of: tokenizer.encode(bytes: bytes)) == bytes)
        }
    }

    /// A text may be cut where the tokenizer says so: the parts have the tokens of the whole.
    @Test(arguments: BuiltInTokenizer.allCases) func cuts(which: BuiltInTokenizer) throws {
        let tokenizer = try which.load()
        let alphabet: [String] = [
            " ", " ", "\n", "\t", "a", "s", "'", "'s", "1", ".", "\u{A0}", "\u{3000}", "\u{E9}", "\u{6F22}", "\u{1F469}",
            "\u{301}",
        ]
        var generator = RandomGenerator(seed: 4)
        var cutCount = 0
        for _ in 0..<3000 {
            var bytes = (0..<12).flatMap { _ in Array((alphabet.randomElement(using: &generator) ?? "").utf8) }
            if Bool.random(using: &generator) { bytes[Int.random(in: bytes.indices, using: &generator)] = 0x80 }
            let part = bytes.prefix(Int.random(in: 0...bytes.count, using: &generator))
            guard let cut = Array(part).withUnsafeBufferPointer({ tokenizer.lastCut(in: $0) }) else { continue }
            #expect(cut > 0 && cut < part.count)
            let parts = tokenizer.encode(bytes: Array(bytes[..<cut])) + tokenizer.encode(bytes: Array(bytes[cut...]))
            #expect(parts == tokenizer.encode(bytes: bytes), "\(String(decoding: bytes, as: UTF8.self)) cut at \(cut)")
            cutCount += 1
        }
        #expect(cutCount > 1000)
    }

    @Test(arguments: [
        "", "IQ== 0", "IQ== 1\nIg== 0\n", "not base64 0\n", "IQ==\n", " 0\n", "\u{0}\u{0}\u{0}",
    ]) func refusesOtherVocabularies(content: String) throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: PowerAttentionError.self) {
            try GPT2Tokenizer(contentsOf: folder.write(content.utf8, to: "vocabulary"))
        }
        #expect(error?.code == .damagedFile)
        #expect(throws: PowerAttentionError.self) { try GPT2Tokenizer(contentsOf: folder.file("missing")) }
    }

    /// A run of one character is no slower than linear times a logarithm, and long words merge like short ones.
    @Test func longRuns() throws {
        let tokenizer = try GPT2Tokenizer.shared()
        let ids = tokenizer.encode(String(repeating: "a", count: 200_000))
        #expect(try tokenizer.bytes(of: ids).count == 200_000)
        #expect(Set(ids.dropLast(8)).count == 1)
    }

    /// The novels have as many tokens as tiktoken counts, 993,328, and come back whole.
    @Test func novels() throws {
        let tokenizer = try GPT2Tokenizer.shared()
        let folder = try PackageResources.path(of: "austen")
        var count = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
            let ids = tokenizer.encode(text)
            #expect(try tokenizer.decode(ids) == text)
            count += ids.count
        }
        #expect(count == 993_328)
    }

    @Test(arguments: [-1, 50257, Int32.max]) func idsOutsideAreErrors(id: Int32) throws {
        #expect(throws: PowerAttentionError.self) { try GPT2Tokenizer.shared().decode([id]) }
        #expect(throws: PowerAttentionError.self) { try ByteTokenizer().decode([id]) }
    }
}
