import Foundation
import LanguageModel
import TestSupport
import Tensors
import Testing

@Suite struct ModelCheckpointTests {
    private func save(_ configuration: ModelConfiguration, _ folder: TemporaryFolder) throws -> LanguageModel {
        let model = try LanguageModel(configuration, seed: 3)
        try model.save(to: folder.file("model"))
        return model
    }

    private func loadError(_ folder: TemporaryFolder) -> PowerAttentionError? {
        do {
            _ = try LanguageModel.load(folder.file("model"))
            return nil
        } catch { return error }
    }

    @Test(arguments: [true, false]) func roundTrip(tied: Bool) throws {
        let folder = try TemporaryFolder()
        let model = try save(SmallModels.configuration(mlp: .swiglu, tied: tied, biases: true), folder)
        #expect(folder.contents == ["model"])
        let loaded = try LanguageModel.load(folder.file("model"))
        #expect(
            loaded.parameters.map { $0.value.array(of: Float.self) } == model.parameters.map { $0.value.array(of: Float.self) })
        #expect(loaded.parameters.map(\.decays) == model.parameters.map(\.decays))
        let losses = try [model, loaded].map { model in
            try model.losses([1, 2, 3], targets: [2, 3, 4], batch: 1, length: 3).array(of: Float.self)
        }
        #expect(losses[0] == losses[1])
    }

    /// Sixteen-bit weights are widened.
    @Test func narrowWeights() throws {
        let folder = try TemporaryFolder()
        let model = try save(SmallModels.configuration(), folder)
        var file = try model.weights()
        file.tensors["embedding.weight"] = model.parameters[0].value.converted(to: .bfloat16)
        try file.write(to: folder.file("model/model.safetensors"))
        let loaded = try LanguageModel.load(folder.file("model"))
        #expect(relativeError(doubles(loaded.parameters[0].value), doubles(model.parameters[0].value)) < 4e-3)
    }

    @Test func foreignFiles() throws {
        let folder = try TemporaryFolder()
        let model = try save(SmallModels.configuration(), folder)
        let good = try model.weights()
        func expect(_ text: String, _ change: (inout SafetensorsFile) -> Void) throws {
            var file = good
            change(&file)
            try file.write(to: folder.file("model/model.safetensors"))
            let error = try #require(loadError(folder))
            #expect(error.code == .damagedFile)
            #expect(error.description.contains(text), "\(error)")
        }
        try expect("blocks.1.mixer.key.weight") { $0.tensors["blocks.1.mixer.key.weight"] = nil }
        try expect("norm.bias") { $0.tensors["norm.bias"] = Tensor([9], .float32) }
        try expect("norm.bias") { $0.tensors["norm.bias"] = Tensor([8], .int32) }
        try expect("blocks.2.mlp.input.weight") { $0.tensors["blocks.2.mlp.input.weight"] = Tensor([5, 8], .float32) }
        try good.write(to: folder.file("model/model.safetensors"))
        #expect(loadError(folder) == nil)

        for (json, text) in [
            ("{}", "embedding.weight"), ("[]", "JSON"), ("", "JSON"), (#"{"layers": "many"}"#, "layers"),
            (#"{"layers": 1000, "width": 65536, "heads": 256}"#, "memory"), (#"{"layers": 0}"#, "layers"),
            (#"{"lairs": 1}"#, "lairs"), (#"{"layers": null}"#, "embedding.weight"),
        ] {
            try folder.write(Array(json.utf8), to: "model/config.json")
            let error = try #require(loadError(folder))
            #expect(error.description.contains(text), "\(error)")
        }
        try FileManager.default.removeItem(atPath: folder.file("model/config.json"))
        #expect(loadError(folder)?.code == .inputOutput)
        #expect(throws: PowerAttentionError.self) { try model.save(to: "/dev/null/model") }
    }

    /// Damaged bytes give an error or, where only numbers changed, a model; never a crash.
    @Test(arguments: ["config.json", "model.safetensors"]) func damage(name: String) throws {
        let folder = try TemporaryFolder()
        _ = try save(SmallModels.configuration(), folder)
        let original = Array(try folder.read("model/\(name)"))
        var mutator = Mutator(seed: 31)
        for _ in 0..<400 {
            try folder.write(mutator.mutated(original), to: "model/\(name)")
            _ = loadError(folder)
        }
    }
}
