/// Any JSON value: a configuration is shown as it was written, whatever its keys.
package enum JSONValue: Sendable, Hashable, Decodable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    package subscript(key: String) -> JSONValue? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    package var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    package var integer: Int? {
        if case .integer(let value) = self { value } else { nil }
    }

    /// The value on one line.
    package var summary: String {
        switch self {
        case .null: "none"
        case .bool(let value): value ? "yes" : "no"
        case .integer(let value): NumberFormat.grouped(value)
        case .number(let value): NumberFormat.general(value)
        case .string(let value): value
        case .array(let values): values.map(\.summary).joined(separator: ", ")
        case .object: flattened.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        }
    }

    package var isObject: Bool {
        if case .object = self { true } else { false }
    }

    /// The leaves of an object with their paths in words, in the order of the paths.
    package var flattened: [(key: String, value: String)] {
        guard case .object(let members) = self else { return [] }
        return members.sorted { $0.key < $1.key }.flatMap { key, value -> [(key: String, value: String)] in
            let words = NumberFormat.words(key)
            guard value.isObject else { return [(words, value.summary)] }
            return value.flattened.map { ("\(words) · \($0.key)", $0.value) }
        }
    }
}
