import Foundation
package import LanguageModel
package import Tensors

extension ModelConfiguration {
    /// The section `[model]` of a configuration; keys that are left out have their defaults.
    ///
    /// - Parameter source: the file or the flags that the table is from, for error messages.
    /// - Throws: `invalidArgument` for an unknown key, with the legal ones, and for a value of the wrong type.
    package init(_ table: [String: ConfigurationValue], source: String) throws(PowerAttentionError) {
        let legal = CodingKeys.allCases.map(\.rawValue)
        if let unknown = table.keys.sorted().first(where: { !legal.contains($0) }) {
            throw .unknownKey("model.\(unknown)", legal: legal, source: source)
        }
        let defaults = try ModelConfiguration().table()
        for (key, value) in table.sorted(by: { $0.key < $1.key }) {
            // Keys without a default are numbers.
            let kind = defaults[key]?.kind ?? .number
            guard value.kind == kind else { throw Self.wrongType(key, value, "\(kind.rawValue)", source) }
        }
        do {
            self = try JSONDecoder().decode(Self.self, from: try JSONEncoder().encode(ConfigurationValue.table(table)))
        } catch let error as PowerAttentionError {
            throw PowerAttentionError(
                argument: "model.\(error.argument)", given: error.given, expected: "\(error.expected), in \(source)")
        } catch DecodingError.typeMismatch(_, let context), DecodingError.dataCorrupted(let context) {
            let key = context.codingPath.last?.stringValue ?? ""
            throw Self.wrongType(key, table[key] ?? .table(table), "an integer of at most 63 bits", source)
        } catch {
            throw PowerAttentionError(argument: "model", given: "\(error)", expected: "a model, in \(source)")
        }
    }

    /// Every key with its value.
    package func table() throws(PowerAttentionError) -> [String: ConfigurationValue] {
        do {
            let data = try JSONEncoder().encode(self)
            return try JSONDecoder().decode([String: ConfigurationValue].self, from: data)
        } catch {
            throw PowerAttentionError(argument: "model", given: "\(error)", expected: "finite numbers")
        }
    }

    private static func wrongType(
        _ key: String, _ value: ConfigurationValue, _ expected: String, _ source: String
    ) -> PowerAttentionError {
        PowerAttentionError(argument: "model.\(key)", given: "\(value)", expected: "\(expected), in \(source)")
    }
}

extension ConfigurationValue {
    fileprivate enum Kind: String {
        case boolean = "true or false"
        case number = "a number"
        case string = "a string"
        case other
    }

    fileprivate var kind: Kind {
        switch self {
        case .boolean: .boolean
        case .integer, .number: .number
        case .string: .string
        case .array, .table: .other
        }
    }
}
