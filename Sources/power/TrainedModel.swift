import Foundation
import LanguageModel
import PowerAttention
import Tensors
import Training

/// A model that a user names by a folder, with the tokenizer that it was trained with.
struct TrainedModel {
    let model: LanguageModel
    let tokenizer: any Tokenizer

    /// - Parameters:
    ///   - path: a run's folder, whose newest checkpoint is taken, a checkpoint's, or that of a saved model.
    ///   - tokenizer: the name of the tokenizer; a run knows its own, a saved model does not.
    init(at path: String, tokenizer name: String?, device: Device = .cpu) throws(PowerAttentionError) {
        let files = try Folder.names(in: path)
        if files.contains("config.json") && files.contains("model.safetensors") {
            model = try LanguageModel.load(path, device: device)
            tokenizer = try Self.tokenizer(named: name, for: model.configuration, path)
        } else {
            let checkpoint = try Checkpoint(at: path)
            model = try checkpoint.loadModel(device: device)
            let trainedWith = try checkpoint.configuration().tokenizer
            tokenizer = try Self.tokenizer(named: name ?? trainedWith, for: model.configuration, path)
        }
    }

    /// The tokenizer of that name, or else the one with the model's vocabulary.
    private static func tokenizer(
        named name: String?, for model: ModelConfiguration, _ path: String
    ) throws(PowerAttentionError) -> any Tokenizer {
        var candidates = BuiltInTokenizer.allCases
        if let name { candidates = [try BuiltInTokenizer(named: name)] }
        for candidate in candidates {
            let tokenizer = try candidate.load()
            if tokenizer.vocabularySize == model.vocabularySize { return tokenizer }
        }
        throw PowerAttentionError(
            argument: "tokenizer", given: name ?? "none for the \(model.vocabularySize) tokens of \(path)",
            expected: "the tokenizer that the model was trained with, whose ids are 0…\(model.vocabularySize - 1)")
    }
}
