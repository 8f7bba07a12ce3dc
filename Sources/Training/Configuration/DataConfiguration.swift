/// What a model is trained on: the section `[data]` of a configuration.
public struct DataConfiguration: Sendable, Hashable {
    /// A token file, or `austen` for the novels that come with the package.
    public var path = "austen"

    public init() {}
}

extension DataConfiguration: ConfigurationSection {
    package static let sectionName = "data"

    package static var fields: [ConfigurationField<Self>] {
        [
            .string("path", \.path)
        ]
    }
}
