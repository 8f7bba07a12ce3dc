package import Tensors

/// One key of a section of the configuration: its name in files, and how its value is checked, read and written.
///
/// A section is an ordinary Swift struct beside a list of these. Reading, unknown keys, `config.json` and the comparison of two
/// configurations all follow from the list.
package struct ConfigurationField<Section: Sendable>: Sendable {
    package let key: String
    /// What the value must be, for error messages.
    package let expected: String
    /// `nil` where the value is absent.
    package let write: @Sendable (Section) -> ConfigurationValue?
    /// Returns false where the value has the wrong type.
    package let read: @Sendable (inout Section, ConfigurationValue) -> Bool

    package init(
        _ key: String, expected: String, write: @escaping @Sendable (Section) -> ConfigurationValue?,
        read: @escaping @Sendable (inout Section, ConfigurationValue) -> Bool
    ) {
        self.key = key
        self.expected = expected
        self.write = write
        self.read = read
    }
}

extension ConfigurationField {
    package static func integer(_ key: String, _ path: any WritableKeyPath<Section, Int> & Sendable) -> Self {
        Self(key, expected: "an integer", write: { .integer($0[keyPath: path]) }) { section, value in
            guard case .integer(let integer) = value else { return false }
            section[keyPath: path] = integer
            return true
        }
    }

    package static func integer(_ key: String, _ path: any WritableKeyPath<Section, Int?> & Sendable) -> Self {
        Self(key, expected: "an integer", write: { $0[keyPath: path].map { .integer($0) } }) { section, value in
            guard case .integer(let integer) = value else { return false }
            section[keyPath: path] = integer
            return true
        }
    }

    package static func number(_ key: String, _ path: any WritableKeyPath<Section, Double> & Sendable) -> Self {
        Self(key, expected: "a number", write: { .number($0[keyPath: path]) }) { section, value in
            switch value {
            case .integer(let integer): section[keyPath: path] = Double(integer)
            case .number(let number): section[keyPath: path] = number
            default: return false
            }
            return true
        }
    }

    package static func boolean(_ key: String, _ path: any WritableKeyPath<Section, Bool> & Sendable) -> Self {
        Self(key, expected: "true or false", write: { .boolean($0[keyPath: path]) }) { section, value in
            guard case .boolean(let boolean) = value else { return false }
            section[keyPath: path] = boolean
            return true
        }
    }

    package static func string(_ key: String, _ path: any WritableKeyPath<Section, String> & Sendable) -> Self {
        Self(key, expected: "a string", write: { .string($0[keyPath: path]) }) { section, value in
            guard case .string(let string) = value else { return false }
            section[keyPath: path] = string
            return true
        }
    }

    /// One of the cases of an enumeration, by its raw value.
    package static func choice<Choice: RawRepresentable<String> & CaseIterable & Sendable>(
        _ key: String, _ path: any WritableKeyPath<Section, Choice> & Sendable
    ) -> Self {
        let names = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        return Self(key, expected: names, write: { .string($0[keyPath: path].rawValue) }) { section, value in
            guard case .string(let name) = value, let choice = Choice(rawValue: name) else { return false }
            section[keyPath: path] = choice
            return true
        }
    }
}

/// A part of the configuration with a name of its own in files.
package protocol ConfigurationSection: Sendable {
    static var sectionName: String { get }
    /// In the order in which they are read: a key whose meaning depends on another comes after it.
    static var fields: [ConfigurationField<Self>] { get }
}

extension ConfigurationSection {
    /// Replaces the values for which `table` has a key.
    ///
    /// - Parameter source: the file or the flags that the table is from, for error messages.
    package mutating func read(_ table: [String: ConfigurationValue], source: String) throws(PowerAttentionError) {
        let legal = Self.fields.map(\.key)
        if let unknown = table.keys.sorted().first(where: { !legal.contains($0) }) {
            throw .unknownKey("\(Self.sectionName).\(unknown)", legal: legal, source: source)
        }
        for field in Self.fields {
            guard let value = table[field.key] else { continue }
            guard field.read(&self, value) else {
                throw PowerAttentionError(
                    argument: "\(Self.sectionName).\(field.key)", given: "\(value)",
                    expected: "\(field.expected), in \(source)")
            }
        }
    }

    package var table: [String: ConfigurationValue] {
        var table: [String: ConfigurationValue] = [:]
        for field in Self.fields { table[field.key] = field.write(self) }
        return table
    }
}

extension PowerAttentionError {
    /// A key that is not in the list of legal ones.
    package static func unknownKey(_ key: String, legal: [String], source: String) -> PowerAttentionError {
        PowerAttentionError(
            argument: source, given: "the unknown key \(key)", expected: "one of \(legal.sorted().joined(separator: ", "))")
    }
}
