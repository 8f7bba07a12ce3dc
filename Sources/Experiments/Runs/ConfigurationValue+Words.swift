package import Training

extension ConfigurationValue {
    package subscript(key: String) -> ConfigurationValue? {
        if case .table(let members) = self { members[key] } else { nil }
    }

    package var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    package var integer: Int? {
        if case .integer(let value) = self { value } else { nil }
    }

    package var isTable: Bool {
        if case .table = self { true } else { false }
    }

    /// The value on one line.
    package var words: String {
        switch self {
        case .boolean(let value): value ? "yes" : "no"
        case .integer(let value): NumberFormat.grouped(value)
        case .number(let value): NumberFormat.general(value)
        case .string(let value): value
        case .array(let values): values.map(\.words).joined(separator: ", ")
        case .table: leaves.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        }
    }

    /// The leaves of a table with their paths in words, in the order of the paths.
    package var leaves: [(key: String, value: String)] {
        guard case .table(let members) = self else { return [] }
        return members.sorted { $0.key < $1.key }.flatMap { key, value -> [(key: String, value: String)] in
            let words = NumberFormat.words(key)
            guard value.isTable else { return [(words, value.words)] }
            return value.leaves.map { ("\(words) · \($0.key)", $0.value) }
        }
    }
}
