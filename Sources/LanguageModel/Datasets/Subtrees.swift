/// A file that a search has found: its path from where the search began, and its size.
struct FoundFile: Hashable {
    var path: String
    var byteCount: Int
}

/// The documents of `TextSearch.Joining.subtrees`.
///
/// A folder that fits is one document. Of one that does not, the folders in it are, by the same rule; what they leave because it is too
/// little is put together with the files of the folder itself, in the order of the paths, and what that leaves goes up one more level.
struct Subtrees {
    private(set) var documents: [TextDocument] = []
    private let bounds: ClosedRange<Int>

    /// - Parameters:
    ///   - files: sorted by the bytes of their paths, so that those of a folder follow one another.
    ///   - folder: what all of the files are in, or the path of the only file.
    init(of files: [FoundFile], in folder: String, bounds: ClosedRange<Int>) {
        self.bounds = bounds
        let prefix = folder.isEmpty ? "" : folder + "/"
        let left = cut(files[...], folder: prefix)
        if !left.isEmpty { append(left, name: left.count == files.count ? prefix : nil) }
    }

    /// Makes documents of a folder whose path ends with a slash; gives the files that are too little for one.
    private mutating func cut(_ files: ArraySlice<FoundFile>, folder: String) -> [FoundFile] {
        let size = Self.size(files)
        if size < bounds.lowerBound { return Array(files) }
        if size <= bounds.upperBound {
            append(Array(files), name: folder)
            return []
        }
        var left: [FoundFile] = []
        var rest = files
        while let first = rest.first {
            let below = first.path.utf8.dropFirst(folder.utf8.count)
            if let slash = below.firstIndex(of: UInt8(ascii: "/")) {
                let inner = String(decoding: first.path.utf8[...slash], as: UTF8.self)
                let count = rest.prefix { $0.path.utf8.starts(with: inner.utf8) }.count
                left += cut(rest.prefix(count), folder: inner)
                rest = rest.dropFirst(count)
            } else {
                left.append(first)
                rest = rest.dropFirst()
            }
        }
        return run(left)
    }

    /// Makes documents of files one after another; gives those at the end that are too little for one.
    private mutating func run(_ files: [FoundFile]) -> [FoundFile] {
        var current: [FoundFile] = []
        var size = 0
        for file in files {
            if file.byteCount > bounds.upperBound {
                append([file], name: nil)
                continue
            }
            if size >= bounds.lowerBound, size + file.byteCount > bounds.upperBound {
                append(current, name: nil)
                (current, size) = ([], 0)
            }
            current.append(file)
            size += file.byteCount
        }
        if size < bounds.lowerBound { return current }
        append(current, name: nil)
        return []
    }

    /// Names a document after its folder, or, where it is not all of one, after its first file.
    private mutating func append(_ files: [FoundFile], name: String?) {
        let first = files[0].path
        let name = files.count == 1 ? first : name.map { $0.isEmpty ? "/" : $0 } ?? first + "…"
        documents.append(TextDocument(name: name, files: files.map(\.path), byteCount: Self.size(files)))
    }

    private static func size(_ files: some Sequence<FoundFile>) -> Int { files.reduce(0) { $0 + $1.byteCount } }
}
