/// A value as configuration files write it, whatever their syntax: what TOML and JSON have in common.
package indirect enum ConfigurationValue: Sendable, Hashable {
    case boolean(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([ConfigurationValue])
    case table([String: ConfigurationValue])
}

extension ConfigurationValue: Codable {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package init(from decoder: any Decoder) throws {
        if let container = try? decoder.container(keyedBy: Key.self) {
            var table: [String: ConfigurationValue] = [:]
            for key in container.allKeys { table[key.stringValue] = try container.decode(Self.self, forKey: key) }
            self = .table(table)
        } else if var container = try? decoder.unkeyedContainer() {
            var array: [ConfigurationValue] = []
            while !container.isAtEnd { array.append(try container.decode(Self.self)) }
            self = .array(array)
        } else {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Bool.self) {
                self = .boolean(value)
            } else if let value = try? container.decode(Int.self) {
                self = .integer(value)
            } else if let value = try? container.decode(Double.self) {
                self = .number(value)
            } else {
                self = .string(try container.decode(String.self))
            }
        }
    }

    package func encode(to encoder: any Encoder) throws {
        switch self {
        case .table(let table):
            var container = encoder.container(keyedBy: Key.self)
            for (key, value) in table { try container.encode(value, forKey: Key(stringValue: key)) }
        case .array(let array):
            var container = encoder.unkeyedContainer()
            for value in array { try container.encode(value) }
        case .boolean(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .integer(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .number(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .string(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        }
    }
}

extension ConfigurationValue: CustomStringConvertible {
    /// The value as it would stand in a file, for error messages; long ones are cut.
    package var description: String {
        switch self {
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let value): value.count > 60 ? "\"\(value.prefix(60))…\"" : "\"\(value)\""
        case .array(let values): "an array of \(values.count)"
        case .table(let values): "a table of \(values.count)"
        }
    }

    /// This table with the values of `other` in place of its own where both have one, all the way down.
    package func overridden(by other: ConfigurationValue) -> ConfigurationValue {
        guard case .table(let base) = self, case .table(let additions) = other else { return other }
        return .table(base.merging(additions) { $0.overridden(by: $1) })
    }
}
