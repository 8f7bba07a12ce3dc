import Foundation
import Tensors
import Testing

import Training

@Suite struct RunConfigurationTests {
    private func read(_ json: String) throws -> RunConfiguration {
        try RunConfiguration(try ConfigurationValue(json: Data(json.utf8), path: "c.json"), source: "c.json")
    }

    private func message(_ json: String) -> String {
        do { _ = try read(json) } catch { return "\(error)" }
        return "no error"
    }

    @Test func isReadAndWrittenWithoutLoss() throws {
        var configuration = RunConfiguration.sample
        configuration.training.learningRate = 0.1 + 0.2
        configuration.data.path = "é \"quoted\""
        let data = try JSONEncoder().encode(try configuration.value())
        let back = try RunConfiguration(try ConfigurationValue(json: data, path: "c.json"), source: "c.json")
        #expect(try back.value() == configuration.value() && back.training == configuration.training)
    }

    @Test func replacesOnlyWhatIsGiven() throws {
        let configuration = try read(#"{"training": {"steps": 7, "learning_rate": 1}, "tokenizer": "gpt2"}"#)
        #expect(configuration.training.steps == 7 && configuration.training.learningRate == 1)
        #expect(configuration.tokenizer == "gpt2")
        #expect(configuration.training.batchSize == TrainingConfiguration().batchSize)
    }

    @Test func unknownKeysAreNamedWithTheFileAndTheLegalOnes() {
        let text = message(#"{"training": {"stepz": 7}}"#)
        #expect(text.contains("training.stepz") && text.contains("c.json") && text.contains("batch_size, beta1"))
        #expect(message(#"{"trainnig": {}}"#).contains("data, model"))
    }

    @Test(arguments: [
        (#"{"training": {"steps": 1.5}}"#, "training.steps: 1.5 given, expected an integer"),
        (#"{"training": {"steps": "7"}}"#, "training.steps: \"7\" given, expected an integer"),
        (#"{"training": {"steps": true}}"#, "training.steps: true given"),
        (#"{"training": {"learning_rate": "fast"}}"#, "training.learning_rate: \"fast\" given, expected a number"),
        (#"{"training": 3}"#, "training: 3 given, expected a table"),
        (#"{"model": {"gated": 1}}"#, "model.gated: 1 given, expected true or false"),
        (#"{"tokenizer": ["bytes"]}"#, "tokenizer: an array of 1 given, expected a string"),
        (#"[1]"#, "c.json: an array of 1 given, expected a table"),
    ])
    func wrongTypesAreNamed(json: String, expected: String) {
        #expect(message(json).contains(expected), "\(message(json))")
    }

    @Test(arguments: [
        ("steps", 0.0), ("batch_size", 0), ("accumulation", 3), ("context", 0), ("learning_rate", -1), ("minimum_ratio", 2),
        ("warmup_steps", -1), ("beta2", 1), ("epsilon", 0), ("gradient_clip", -1), ("seed", -1), ("checkpoint_interval", 0),
        ("checkpoints_kept", 0), ("evaluation_interval", -1), ("evaluation_windows", 0),
    ])
    func illegalValuesAreNamed(key: String, value: Double) throws {
        let number = value == value.rounded() ? "\(Int(value))" : "\(value)"
        let configuration = try read(#"{"training": {"\#(key)": \#(number)}}"#)
        let error = #expect(throws: PowerAttentionError.self) { try configuration.validate() }
        #expect(error?.argument == "training.\(key)")
    }
}
