import LanguageModel
import Tensors
import TestSupport
import Testing
import Training

/// Training on token files.
@Suite struct TokenFileDataTests {
    let folder = try! TemporaryFolder()

    private func configuration(vocabulary: Int = 257) throws -> RunConfiguration {
        var writer = try TokenFileWriter(folder.file("a.tokens"), tokenizer: "bytes", vocabularySize: 257)
        for (document, heldOut) in [(1, false), (2, true), (3, false)] {
            try writer.append([Int32](repeating: Int32(document), count: 10 * document))
            writer.endDocument(heldOut: heldOut)
        }
        try writer.finish()
        var configuration = RunConfiguration()
        configuration.data.path = folder.file("a.tokens")
        configuration.model.vocabularySize = vocabulary
        return configuration
    }

    @Test func heldOutDocumentsAreNotTrainedOn() throws {
        let data = try TrainingData(configuration())
        #expect(data.heldOut == [10..<30])
        #expect(data.ring.tokenCount == 40)
        #expect(try Set(data.ring.tokens(from: 0, count: 40)) == [1, 3])
    }

    @Test func refusesAnotherTokenizer() throws {
        var configuration = try configuration()
        configuration.tokenizer = "gpt2"
        let error = #expect(throws: PowerAttentionError.self) { try TrainingData(configuration) }
        #expect(error?.argument == "tokenizer" && error?.expected.contains("bytes") == true)
    }

    @Test func refusesASmallVocabulary() throws {
        let configuration = try configuration(vocabulary: 256)
        let error = #expect(throws: PowerAttentionError.self) { try TrainingData(configuration) }
        #expect(error?.argument == "vocabulary_size")
    }
}
