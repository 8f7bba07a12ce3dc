import Foundation
import LanguageModel
import Tensors
import Testing
import Training
import power

@Suite struct ConfigurationFileTests {
    private static let toml = """
        # a run
        tokenizer = "bytes" # and a comment

        [model]
        layers = 2
        width = 64
        gated = true

        [training]
        steps = 1_000
        learning_rate = 3e-4
        seed = 0x2A
        [data]
        path = 'austen'
        """

    private static let json = """
        {"tokenizer": "bytes", "model": {"layers": 2, "width": 64, "gated": true},
         "training": {"steps": 1000, "learning_rate": 3e-4, "seed": 42}, "data": {"path": "austen"}}
        """

    private func read(_ text: String, _ name: String) throws -> RunConfiguration {
        try read(Data(text.utf8), name)
    }

    private func read(_ data: Data, _ name: String) throws -> RunConfiguration {
        let path = NSTemporaryDirectory() + "power-\(UUID().uuidString)-\(name)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try data.write(to: URL(fileURLWithPath: path))
        return try RunConfiguration(try ConfigurationFile.read(path), source: name)
    }

    private func failure(_ text: String, _ name: String) -> PowerAttentionError? {
        do { _ = try read(text, name) } catch { return error as? PowerAttentionError }
        return nil
    }

    @Test func bothSyntaxesSayTheSame() throws {
        let configuration = try read(Self.toml, "c.toml")
        #expect(configuration == (try read(Self.json, "c.json")))
        #expect(configuration.training.steps == 1000 && configuration.training.seed == 42)
        #expect(configuration.training.learningRate == 3e-4)
        #expect(configuration != RunConfiguration())
    }

    /// The example has every key, with its default.
    @Test func theExampleIsTheDefault() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let path = root.appending(path: "Examples/configuration.toml").standardized.path
        let value = try ConfigurationFile.read(path)
        var defaults = RunConfiguration()
        defaults.model.vocabularySize = 257
        #expect(try RunConfiguration(value, source: path).value() == defaults.value())
        guard case .table(let given) = value, case .table(let legal) = try defaults.value() else { return }
        for (name, section) in given {
            guard case .table(let given) = section, case .table(let legal) = legal[name] else { continue }
            #expect(Set(given.keys) == Set(legal.keys), "[\(name)]")
        }
    }

    @Test(arguments: ["c.yaml", "c", "c.toml.bak"])
    func otherEndingsAreRefused(name: String) {
        #expect(failure(Self.toml, name)?.code == .invalidArgument)
    }

    @Test(arguments: [
        "[training\nsteps = 1", "[[[", "[[training]]", "steps", "= 1", "a = ", "a = [1, 2", "a = \"x", "a = \"\"\"\nx\"\"\"",
        "a.b = 1",
        "a = 1\na = 2", "[training]\n[training]", "steps = 99999999999999999999", "x = 1e999", "\"a\" = 1", "a = 1 b = 2",
        "a = \"\\u0000\\q\"", "\u{0}a = 1", "a = {b = 1}", "a = 1979-99-99", "a = 0x", "a = -", "a = 1__2", "a = .5",
        "a = \u{FFFF}",
    ])
    func whatIsNotTOMLIsDamaged(text: String) {
        #expect(failure(text, "c.toml")?.code == .damagedFile)
    }

    @Test(arguments: [
        ("[training]\nsteps = inf", "training.steps"), ("[training]\nsteps = 1.5", "training.steps"),
        ("[training]\nlearning_rate = 1979-05-27", "training.learning_rate"),
        ("[training]\nlearning_rate = nan", "training.learning_rate"),
        ("training = 1", "training"), ("[trainnig]", "c.toml"), ("[training]\nstep = 1", "c.toml"),
    ])
    func wrongKeysAndTypesAreNamed(text: String, argument: String) {
        let error = failure(text, "c.toml")
        #expect(error?.code == .invalidArgument && error?.argument == argument, "\(error.map(String.init(describing:)) ?? "")")
    }

    @Test func hostileFilesAreErrors() {
        for open in ["[", "{\"a\":", "a = [", "a.", "[a.", "a = {a = "] {
            for count in [100, 10_000, 100_000] {
                let text = String(repeating: open, count: count)
                #expect(failure(text, "c.toml")?.code == .damagedFile)
                #expect(failure(text, "c.json")?.code == .damagedFile)
                #expect(failure("a = " + text, "c.toml")?.code == .damagedFile)
            }
        }
        let balanced = String(repeating: "[", count: 400) + String(repeating: "]", count: 400)
        #expect(failure(balanced, "c.json") != nil)
        #expect(failure("{\"training\": {\"steps\": 1\(String(repeating: "0", count: 10_000))}}", "c.json") != nil)
        #expect(failure(String(repeating: " ", count: 2 << 20), "c.json")?.code == .damagedFile)
        #expect(throws: PowerAttentionError.self) { try ConfigurationFile.read("/no/such/file.toml") }
        #expect(throws: PowerAttentionError.self) { try ConfigurationFile.read("/tmp") }
    }

    /// Damaged bytes either still make a configuration or are an error of the package; nothing else can happen.
    @Test(arguments: ["toml", "json"])
    func damagedBytesNeverCrash(ending: String) throws {
        let original = Array((ending == "toml" ? Self.toml : Self.json).utf8)
        var generator = RandomGenerator(seed: 77)
        var failures = 0
        let rounds = 1500
        for _ in 0..<rounds {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<5, using: &generator) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: at)
                case 2: bytes.insert("[]{}\"'=.#\\,\n+-e_:0".utf8.randomElement(using: &generator) ?? 0, at: at)
                case 3: bytes.insert(contentsOf: bytes[at..<min(at + 20, bytes.count)], at: at)
                default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<20, using: &generator)))
                }
            }
            do throws(PowerAttentionError) {
                let value: ConfigurationValue =
                    ending == "toml"
                    ? try ConfigurationFile.toml(bytes, path: "c.toml")
                    : try ConfigurationValue(json: Data(bytes), path: "c.json")
                try RunConfiguration(value, source: "c").validate()
            } catch {
                failures += 1
            }
        }
        #expect(failures > rounds / 4)
    }
}
