import Foundation

/// The JSON of a safetensors header, before its numbers are checked against the file.
struct SafetensorsJSON {
    /// What is said about one tensor.
    struct TensorInfo: Codable {
        var dtype: String
        var shape: [Int]
        var offsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case offsets = "data_offsets"
        }
    }

    /// Why a header is refused, as the end of a sentence: "a header that …".
    struct Failure: Error { let reason: String }

    private(set) var tensors: [String: TensorInfo] = [:]
    private(set) var metadata: [String: String] = [:]

    init(tensors: [String: TensorInfo], metadata: [String: String]) {
        self.tensors = tensors
        self.metadata = metadata
    }

    /// Decodes a header.
    ///
    /// Foundation keeps one of two equal keys without a word, so the keys are counted in the text as well: every key of a
    /// legal header ends with the only kind of colon that stands outside of a string.
    init(decoding bytes: [UInt8]) throws(Failure) {
        guard bytes.first == UInt8(ascii: "{"), String(validating: bytes, as: UTF8.self) != nil else {
            throw Failure(reason: "is not JSON in UTF-8")
        }
        let keyCount = try Self.scan(bytes)
        let root: [String: Value]
        do { root = try JSONDecoder().decode([String: Value].self, from: Data(bytes)) } catch {
            throw Failure(reason: "is not a table of tensors (\(Self.describe(error)))")
        }
        var expectedKeys = root.count
        for (name, value) in root {
            switch value {
            case .tensor(let tensor):
                guard name != Self.metadataKey else { throw Failure(reason: "has metadata that are not text") }
                tensors[name] = tensor
                expectedKeys += 3
            case .metadata(let text):
                guard name == Self.metadataKey else {
                    throw Failure(reason: "describes \(name) without dtype, shape, data_offsets")
                }
                metadata = text
                expectedKeys += text.count
            }
        }
        guard keyCount == expectedKeys else { throw Failure(reason: "has duplicate names or unknown keys") }
    }

    /// The header's text, keys sorted.
    func encoded() throws -> Data {
        var root = tensors.mapValues(Value.tensor)
        if !metadata.isEmpty { root[Self.metadataKey] = .metadata(metadata) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(root)
    }

    static let metadataKey = "__metadata__"

    /// What a key of the header stands for.
    private enum Value: Codable {
        case tensor(TensorInfo)
        case metadata([String: String])

        init(from decoder: any Decoder) throws {
            if let text = try? [String: String](from: decoder) {
                self = .metadata(text)
            } else {
                self = .tensor(try TensorInfo(from: decoder))
            }
        }

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .tensor(let tensor): try tensor.encode(to: encoder)
            case .metadata(let text): try text.encode(to: encoder)
            }
        }
    }

    /// Counts the colons outside of strings, and refuses text that nests deeper than a header can: the decoder is recursive.
    private static func scan(_ bytes: [UInt8]) throws(Failure) -> Int {
        var depth = 0
        var colons = 0
        var inString = false
        var escaped = false
        for byte in bytes {
            if inString {
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): inString = true
            case UInt8(ascii: ":"): colons += 1
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= 3 else { throw Failure(reason: "nests deeper than a table of tensors") }
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case 0: throw Failure(reason: "is not JSON in UTF-8")
            default: break
            }
        }
        return colons
    }

    /// The decoder's reason in one line.
    private static func describe(_ error: any Error) -> String {
        switch error {
        case DecodingError.dataCorrupted(let context), DecodingError.keyNotFound(_, let context),
            DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            let place = context.codingPath.map(\.stringValue).joined(separator: ".")
            return place.isEmpty ? context.debugDescription : "\(place): \(context.debugDescription)"
        default: return "\(error)"
        }
    }
}

extension DataType {
    /// The type's name in safetensors files.
    package var safetensorsName: String {
        switch self {
        case .float64: "F64"
        case .float32: "F32"
        case .float16: "F16"
        case .bfloat16: "BF16"
        case .int64: "I64"
        case .int32: "I32"
        case .uint16: "U16"
        case .uint8: "U8"
        }
    }

    init?(safetensorsName: String) {
        guard let match = Self.allCases.first(where: { $0.safetensorsName == safetensorsName }) else { return nil }
        self = match
    }
}
