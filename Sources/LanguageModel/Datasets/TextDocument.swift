/// A document that is yet to be tokenized: one text file or several.
public struct TextDocument: Sendable, Hashable {
    /// The path of the file, or of the folder whose files are joined, from where the search began.
    public var name: String
    /// The paths of the files, in the order in which their texts follow one another.
    public var files: [String]
    /// The size of all files.
    public var byteCount: Int

    public init(name: String, files: [String], byteCount: Int) {
        self.name = name
        self.files = files
        self.byteCount = byteCount
    }
}
