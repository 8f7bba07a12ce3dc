import Foundation
public import PowerAttention
public import Tensors

/// A model on disk is a folder with `model.safetensors`, the parameters by name, and `config.json`, the ``ModelConfiguration``.
extension LanguageModel {
    private static let weightsName = "model.safetensors"
    private static let configurationName = "config.json"

    /// Writes the model to a folder, which is made where there is none; each of the two files appears complete or not at all.
    ///
    /// - Throws: `inputOutput` where that fails.
    public func save(to folder: String) throws(PowerAttentionError) {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw PowerAttentionError(
                .inputOutput, argument: folder, given: "a folder that cannot be made", expected: "a place for the model",
                cause: error)
        }
        try weights().write(to: "\(folder)/\(Self.weightsName)")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        // A valid configuration has finite numbers only: encoding it does not fail.
        guard let text = try? encoder.encode(configuration) else { preconditionFailure("a configuration that has no JSON") }
        try AtomicFile.write(text + Data("\n".utf8), to: "\(folder)/\(Self.configurationName)")
    }

    /// Reads a model that ``save(to:)`` has written.
    ///
    /// - Throws: `inputOutput` where a file cannot be read; `damagedFile` or `invalidArgument` where the configuration is not
    ///   legal, or the tensors are not those of the configuration; the error names the key or the tensor.
    public static func load(_ folder: String, device: Device = .cpu) throws(PowerAttentionError) -> LanguageModel {
        let path = "\(folder)/\(weightsName)"
        let configuration = try ModelConfiguration(contentsOf: "\(folder)/\(configurationName)")
        return try LanguageModel(configuration, weights: SafetensorsFile.read(path), path: path, device: device)
    }

    /// The parameters by name.
    package func weights() throws(PowerAttentionError) -> SafetensorsFile {
        var file = SafetensorsFile()
        for parameter in parameters { file.tensors[parameter.name] = try parameter.value.onHost() }
        return file
    }

    /// A model with given parameters, of any floating-point type, converted to `dataType`.
    ///
    /// - Parameter path: the file that they are from, for error messages.
    /// - Throws: `damagedFile` for the first tensor that is missing, has another shape or is not the configuration's; nothing is
    ///   allocated for parameters that the file does not have.
    package convenience init(
        _ configuration: ModelConfiguration, weights: SafetensorsFile, path: String, dataType: DataType = .float32,
        device: Device = .cpu
    ) throws(PowerAttentionError) {
        var rest = weights.tensors
        let source = ParameterSource { (name, shape, _) throws(PowerAttentionError) in
            guard let tensor = rest.removeValue(forKey: name) else {
                throw Self.damaged(path, "no tensor \(name)", "the tensors of the model that the configuration describes")
            }
            guard tensor.shape == shape else { throw Self.damaged(path, "\(name) with shape \(tensor.shape)", "\(shape)") }
            guard tensor.dataType.isFloatingPoint else {
                throw Self.damaged(path, "\(name) with elements of type \(tensor.dataType)", "floating-point numbers")
            }
            return tensor.converted(to: dataType)
        }
        try self.init(configuration, source, dataType, device)
        if let stranger = rest.keys.min() {
            throw Self.damaged(
                path, "a tensor \(stranger)", "no tensors besides those of the model that the configuration describes")
        }
    }

    private static func damaged(_ path: String, _ given: String, _ expected: String) -> PowerAttentionError {
        PowerAttentionError(.damagedFile, argument: path, given: given, expected: expected)
    }
}

extension ModelConfiguration {
    /// The largest configuration file that is read; real ones have a few hundred bytes.
    private static let largestFile = 1 << 20

    /// Reads a configuration from a JSON file and checks it.
    init(contentsOf path: String) throws(PowerAttentionError) {
        func damaged(_ given: String, _ cause: (any Error)? = nil) -> PowerAttentionError {
            PowerAttentionError(
                .damagedFile, argument: path, given: given, expected: "the configuration of a model in JSON", cause: cause)
        }
        let file = try OpenFile(reading: path)
        guard file.byteCount <= Self.largestFile else { throw damaged("\(file.byteCount) bytes") }
        let data = Data(try file.bytes(0..<file.byteCount))
        do {
            self = try JSONDecoder().decode(ModelConfiguration.self, from: data)
        } catch let error as PowerAttentionError {
            throw damaged("\(error.argument) \(error.given)", error)
        } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
            throw damaged("a value of another type for \(context.codingPath.map(\.stringValue).joined(separator: "."))")
        } catch {
            throw damaged("not JSON")
        }
        do { try validate() } catch { throw damaged("\(error.argument) \(error.given)", error) }
    }
}
