import BackendInterface
import Foundation
import LanguageModel
import Tensors
import Testing

@Suite struct ModelConfigurationTests {
    private func decode(_ json: String) throws -> ModelConfiguration {
        try JSONDecoder().decode(ModelConfiguration.self, from: Data(json.utf8))
    }

    @Test(arguments: SmallModels.mixers) func roundTrip(mixer: Mixer) throws {
        var configuration = SmallModels.configuration(mixer: mixer, norm: .rmsNorm, mlp: .swiglu, gated: false, tied: false)
        configuration.chunkSize = 64
        configuration.rotaryBase = 500_000
        let data = try JSONEncoder().encode(configuration)
        #expect(try JSONDecoder().decode(ModelConfiguration.self, from: data) == configuration)
        let keys = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any]).keys
        let legal = Set(ModelConfiguration.CodingKeys.allCases.map(\.rawValue))
        #expect(legal.isSuperset(of: keys))
    }

    @Test func defaults() throws {
        #expect(try decode("{}") == ModelConfiguration())
        let configuration = try decode(#"{"mixer": "exponential", "window": 128, "mlp": "swiglu", "width": 96, "heads": 2}"#)
        #expect(configuration.mixer == .exponential(window: 128))
        #expect(configuration.keyHeads == 2)
        #expect(configuration.keyWidth == 48)
        #expect(configuration.hiddenWidth == 256)
    }

    @Test(arguments: [
        (#"{"wdith": 12}"#, "wdith"), (#"{"mixer": "powr"}"#, "mixer"), (#"{"norm": "batch"}"#, "norm"),
        (#"{"mixer": "linear", "degree": 2}"#, "degree"), (#"{"window": 5}"#, "window"), (#"{"form": "fast"}"#, "form"),
    ])
    func badKeys(json: String, argument: String) throws {
        let error = #expect(throws: PowerAttentionError.self) { try decode(json) }
        #expect(error?.argument == argument)
    }

    @Test(arguments: [
        ("vocabulary_size", 0), ("layers", 0), ("layers", 1_000_000), ("width", -1), ("heads", 0), ("heads", 3),
        ("key_value_heads", 3), ("key_value_heads", 0), ("head_width", 7), ("head_width", 258), ("mlp_width", 0), ("degree", 5),
        ("degree", 0), ("rotary_base", 0), ("chunk_size", 0), ("chunk_size", Int.max), ("width", Int.max),
        ("head_width", Int.min), ("vocabulary_size", Int.max),
    ])
    func badValues(key: String, value: Int) throws {
        let configuration = try decode(#"{"\#(key)": \#(value)}"#)
        let error = #expect(throws: PowerAttentionError.self) { try configuration.validate() }
        #expect(error?.argument == key)
    }

    @Test func badCombinations() {
        for (configuration, argument) in [
            (ModelConfiguration(mixer: .exponential(window: 0)), "window"),
            (ModelConfiguration(mixer: .exponential, form: .chunked), "form"),
            (ModelConfiguration(width: 6, heads: 2), "heads"),
            (ModelConfiguration(rotaryBase: .nan), "rotary_base"),
            (ModelConfiguration(rotaryBase: .infinity), "rotary_base"),
        ] {
            let error = #expect(throws: PowerAttentionError.self) { try configuration.validate() }
            #expect(error?.argument == argument)
        }
    }
}
