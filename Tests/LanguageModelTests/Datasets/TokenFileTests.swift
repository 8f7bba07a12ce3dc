import Foundation
import LanguageModel
import Tensors
import TestSupport
import Testing

@Suite struct TokenFileTests {
    let folder = try! TemporaryFolder()

    /// Three documents, the second one empty and held out.
    private func write(_ type: TokenType, vocabulary: Int = 300) throws -> String {
        var writer = try TokenFileWriter(folder.file("a"), tokenizer: "toy", vocabularySize: vocabulary, tokenType: type)
        try writer.append([1, 2])
        try writer.append([299])
        writer.endDocument()
        writer.endDocument(heldOut: true)
        try writer.append([7, 0])
        try writer.finish()
        return folder.file("a")
    }

    @Test(arguments: TokenType.allCases) func roundTrip(type: TokenType) throws {
        let file = try TokenFile(write(type))
        #expect(file.format == .tokenFile && file.tokenType == type)
        #expect(file.tokenizer == "toy" && file.vocabularySize == 300)
        #expect(file.documents == [0..<3, 3..<3, 3..<5])
        #expect(file.trainingDocuments == [0..<3, 3..<5] && file.heldOutDocuments == [3..<3])
        #expect(try file.tokens(in: 0..<5) == [1, 2, 299, 7, 0])
        #expect(try file.tokens(in: 2..<4) == [299, 7])
        #expect(try file.tokens(in: 5..<5) == [])
        #expect(folder.contents == ["a"])
    }

    /// The bytes that the documentation promises.
    @Test func layout() throws {
        let bytes = Array(try folder.read(URL(fileURLWithPath: write(.uint16)).lastPathComponent))
        func field(_ range: Range<Int>) -> UInt64 { bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) } }
        #expect(Array(bytes[0..<8]) == Array("PWRTOKEN".utf8))
        #expect(field(8..<12) == 1 && field(12..<16) == 2 && field(16..<24) == 5 && field(24..<32) == 3)
        #expect(field(32..<40) == 300 && field(44..<48) == 3)
        #expect(String(decoding: bytes[48..<51], as: UTF8.self) == "toy")
        #expect(bytes[51..<124].allSatisfy { $0 == 0 })
        // zlib.crc32 of Python over the same bytes.
        #expect(field(40..<44) == 0x7FC57CCD && field(124..<128) == 0x9E9765BE)
        #expect(Array(bytes[128..<144]) == [1, 0, 2, 0, 43, 1, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(field(144..<152) == 6 && field(152..<160) == 7 && field(160..<168) == 10 && bytes.count == 168)
    }

    @Test func refusesToWrite() throws {
        var writer = try TokenFileWriter(folder.file("a"), tokenizer: "toy", vocabularySize: 10)
        for tokens in [[10], [-1], [1, .max]] as [[Int32]] {
            let error = #expect(throws: PowerAttentionError.self) { try writer.append(tokens) }
            #expect(error?.argument == "token")
        }
        #expect(throws: PowerAttentionError.self) {
            _ = try TokenFileWriter(folder.file("b"), tokenizer: "toy", vocabularySize: 65_537, tokenType: .uint16)
        }
        #expect(throws: PowerAttentionError.self) {
            _ = try TokenFileWriter(folder.file("b"), tokenizer: String(repeating: "x", count: 65), vocabularySize: 3)
        }
        #expect(throws: PowerAttentionError.self) {
            _ = try TokenFileWriter(folder.file("b"), tokenizer: "", vocabularySize: 0)
        }
    }

    /// Every truncation is noticed when the file is opened, as is every change of a byte before or after the tokens.
    @Test(arguments: TokenType.allCases) func noticesDamage(type: TokenType) throws {
        let path = try write(type)
        let bytes = Array(try folder.read("a"))
        let table = bytes.count - 3 * 8
        for length in 0..<bytes.count {
            #expect(throws: PowerAttentionError.self) { try TokenFile(folder.write(bytes[..<length], to: "damaged")) }
        }
        for place in Array(0..<128) + Array(table..<bytes.count) {
            var damaged = bytes
            damaged[place] ^= 0x10
            #expect(throws: PowerAttentionError.self) { try TokenFile(folder.write(damaged, to: "damaged")) }
        }
        var foreign = bytes
        foreign[128 + 4 * type.byteCount + 1] = 0xFF
        let file = try TokenFile(folder.write(foreign, to: "damaged"))
        let error = #expect(throws: PowerAttentionError.self) { try file.tokens(in: 3..<5) }
        #expect(error?.code == .damagedFile)
        #expect(try TokenFile(path).tokens(in: 3..<5) == [7, 0])
    }

    @Test func says() throws {
        let cases: [([UInt8], String, String)] = [
            (Array("Emma Woodhouse, handsome".utf8), "emma.txt", "not a token file"),
            ([], "empty", "not a token file"),
            (Array("PWRTOKEN".utf8), "short", "ends at byte 8"),
            (Array("PWRTOKEN".utf8) + [2] + [UInt8](repeating: 0, count: 200), "new", "version 2"),
            ([UInt8](repeating: 0, count: 131_071), "cut.bin", "truncated"),
            ([], "none.bin", "truncated"),
            ([UInt8](repeating: 255, count: 131_072), "noise.bin", "65535"),
        ]
        for (bytes, name, reason) in cases {
            let error = #expect(throws: PowerAttentionError.self) { try TokenFile(folder.write(bytes, to: name)) }
            #expect(error?.code == .damagedFile && error?.description.contains(reason) == true, "\(error?.description ?? "")")
        }
        for path in [folder.path, folder.file("missing")] {
            let error = #expect(throws: PowerAttentionError.self) { try TokenFile(path) }
            #expect(error?.code == .inputOutput)
        }
    }

    @Test func longCrawl64() throws {
        let count = 101
        var bytes = [UInt8](repeating: 0, count: count * 131_072)
        for document in 0..<count { bytes[document * 131_072 + 2] = UInt8(document) }
        bytes[1] = 0xC4
        bytes[0] = 0x50
        let file = try TokenFile(folder.write(bytes, to: "a.bin"))
        #expect(file.format == .longCrawl64 && file.tokenizer == "gpt2" && file.vocabularySize == 50_257)
        #expect(file.documents.count == count && file.documents.allSatisfy { $0.count == 65_536 })
        #expect(file.heldOutDocuments == [file.documents[0], file.documents[100]])
        #expect(try file.tokens(in: 0..<2) == [50_256, 0])
        #expect(try file.tokens(in: 7 * 65_536 + 1..<7 * 65_536 + 2) == [7])
    }

    /// Damaged files are refused, or what is read from them fits together; nothing crashes.
    @Test func survivesDamage() throws {
        let original = Array(try folder.read(URL(fileURLWithPath: write(.uint32)).lastPathComponent))
        var mutator = Mutator(seed: 2)
        var (accepted, refused) = (0, 0)
        for round in 0..<6000 {
            var bytes = mutator.mutated(original)
            if round.isMultiple(of: 2), bytes.count >= 128 { repairChecksums(&bytes) }
            do {
                let file = try TokenFile(folder.write(bytes, to: "damaged"))
                #expect(file.tokenCount * file.tokenType.byteCount < bytes.count)
                for document in file.documents {
                    let tokens = try file.tokens(in: document)
                    #expect(tokens.allSatisfy { (0..<Int32(clamping: file.vocabularySize)).contains($0) })
                }
                accepted += 1
            } catch { refused += 1 }
        }
        #expect(accepted > 50 && refused > 1000)
    }

    /// Makes the checksums fit, so that the checks behind them are reached.
    private func repairChecksums(_ bytes: inout [UInt8]) {
        func put(_ value: UInt32, at offset: Int) {
            for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
        }
        let count = bytes[24..<32].reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        if count <= UInt64(bytes.count / 8) {
            put(bytes.suffix(8 * Int(count)).withUnsafeBytes { Checksum.crc32($0) }, at: 40)
        }
        put(bytes[..<124].withUnsafeBytes { Checksum.crc32($0) }, at: 124)
    }
}
