import Inference
import Tensors
import Testing

@Suite struct UTF8StreamTests {
    /// However bytes are cut, valid or not, the text is that of all bytes at once.
    @Test func anyCut() {
        var generator = RandomGenerator(seed: 1)
        let pieces: [[UInt8]] = [
            Array("a".utf8), Array("é".utf8), Array("€".utf8), Array("🙂".utf8), Array("👩‍👧".utf8), [0x80], [0xC3], [0xE2, 0x82],
            [0xF0, 0x9F], [0xFF], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF8],
        ]
        for _ in 0..<500 {
            let bytes = (0..<20).flatMap { _ in pieces[Int(generator.next() % UInt64(pieces.count))] }
            var stream = UTF8Stream()
            var text = ""
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + Int(generator.next() % 4))
                text += stream.append(bytes[start..<end])
                start = end
            }
            text += stream.finish()
            #expect(Array(text.utf8) == Array(String(decoding: bytes, as: UTF8.self).utf8))
        }
    }

    /// Whole characters come at once, beginnings wait.
    @Test func holding() {
        var stream = UTF8Stream()
        #expect(stream.append([0x61, 0xE2]) == "a")
        #expect(stream.append([0x82]) == "")
        #expect(stream.append([0xAC, 0x62]) == "€b")
        #expect(stream.append([0xF0, 0x9F, 0x99]) == "")
        #expect(stream.finish() == "\u{FFFD}")
        #expect(stream.finish() == "")
    }
}
