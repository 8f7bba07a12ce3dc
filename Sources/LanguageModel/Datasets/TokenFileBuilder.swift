import Synchronization
import Tensors

/// Turns text files into a token file: on all cores, in memory that does not grow with the text.
///
/// Of texts of any size, some megabytes are in memory at a time; they are cut only where a cut does not change the tokens. (A
/// text that has no such place, megabytes without white space, is encoded whole.) Every document ends with the tokenizer's end
/// of text; the files of a joined document are separated by a line feed. Bytes that are not UTF-8 are kept.
public struct TokenFileBuilder: Sendable {
    public let tokenizer: any Tokenizer
    /// How a token is stored; the smallest type that holds the vocabulary where it is `nil`.
    public var tokenType: TokenType?
    /// Whether documents end with the tokenizer's end of text.
    public var endsDocuments = true
    /// The bytes of text that are encoded at a time.
    package var batchByteCount = 16 << 20

    public init(_ tokenizer: any Tokenizer) { self.tokenizer = tokenizer }

    /// How far ``build(_:heldOut:to:progress:)`` has come.
    public struct Progress: Sendable, Hashable {
        public var bytes: Int
        public var tokens: Int
        public var documents: Int
    }

    /// Writes the tokens of `documents` to `path`, which appears complete or not at all.
    ///
    /// - Parameters:
    ///   - heldOut: for every document whether it is held out.
    ///   - progress: called now and then; an error that it throws ends the work.
    /// - Throws: ``PowerAttentionError`` with code `inputOutput` where a file cannot be read or written, and what `progress` throws.
    /// - Precondition: `heldOut` has an element a document.
    public func build(
        _ documents: [TextDocument], heldOut: [Bool], to path: String, progress: (Progress) throws -> Void = { _ in }
    ) throws {
        precondition(heldOut.count == documents.count, "\(heldOut.count) choices for \(documents.count) documents")
        var writer = try TokenFileWriter(
            path, tokenizer: tokenizer.name, vocabularySize: tokenizer.vocabularySize, tokenType: tokenType)
        var done = Progress(bytes: 0, tokens: 0, documents: 0)
        var batch = Batch()
        func flush() throws {
            for (segment, tokens) in zip(batch.segments, encode(batch.segments)) {
                try writer.append(tokens)
                done.bytes += segment.range.count
                guard let document = segment.endOfDocument else { continue }
                if endsDocuments { try writer.append([tokenizer.endOfText]) }
                writer.endDocument(heldOut: heldOut[document])
                done.documents += 1
            }
            done.tokens = writer.tokenCount
            batch = Batch()
            try progress(done)
        }
        for (index, document) in documents.enumerated() {
            for (place, name) in document.files.enumerated() {
                let file = try MappedFile(name)
                let isLastFile = place == document.files.count - 1
                var start = 0
                repeat {
                    let end = segmentEnd(in: file, from: start)
                    let isLast = end == file.byteCount
                    batch.append(
                        Segment(
                            file: file, range: start..<end, startsFile: start == 0 && place > 0,
                            endOfDocument: isLast && isLastFile ? index : nil))
                    start = end
                    if batch.byteCount >= batchByteCount || batch.segments.count >= 1024 { try flush() }
                } while start < file.byteCount
            }
        }
        try flush()
        try writer.finish()
    }

    /// A part of a file.
    private struct Segment: Sendable {
        let file: MappedFile
        let range: Range<Int>
        /// Whether a file begins here that is not the first of its document.
        let startsFile: Bool
        /// The number of the document that ends with this part.
        let endOfDocument: Int?
    }

    private struct Batch {
        private(set) var segments: [Segment] = []
        private(set) var byteCount = 0

        mutating func append(_ segment: Segment) {
            segments.append(segment)
            byteCount += segment.range.count
        }
    }

    /// Where the part of a file that begins at `start` ends: at the last possible cut of the next few megabytes.
    private func segmentEnd(in file: MappedFile, from start: Int) -> Int {
        var length = max(1, batchByteCount / 4)
        while length < file.byteCount - start {
            let part = UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + length])
            if let cut = part.withMemoryRebound(to: UInt8.self, { tokenizer.lastCut(in: $0) }) { return start + cut }
            length *= 2
        }
        return file.byteCount
    }

    private func encode(_ segments: [Segment]) -> [[Int32]] {
        let separator = tokenizer.encode("\n")
        let results = Mutex([[Int32]](repeating: [], count: segments.count))
        parallelFor(segments.count) { index in
            let segment = segments[index]
            let bytes = UnsafeRawBufferPointer(rebasing: segment.file.bytes[segment.range])
            let tokens = bytes.withMemoryRebound(to: UInt8.self) { tokenizer.encode(bytes: $0) }
            let result = segment.startsFile ? separator + tokens : tokens
            results.withLock { $0[index] = result }
        }
        return results.withLock { $0 }
    }
}
