import Foundation
public import Tensors

/// Finds the text files of a token file.
public struct TextSearch: Sendable, Hashable {
    /// Which files of a folder become one document.
    public enum Joining: Sendable, Hashable {
        /// Every file is a document.
        case nothing
        /// The files of a folder are a document; those in folders below it are others.
        case folders
        /// The files of a folder so many levels below the place where the search began are a document with all that is below
        /// it: at 0 everything that is found there, at 1 each folder in it.
        case level(Int)
        /// Subtrees of a size in bytes: a folder is a document with all that is below it where that is at most the upper bound; a
        /// larger one is taken apart into its folders. What is smaller than the lower bound is joined to its neighbours: the files
        /// that are left of a folder follow one another in documents that end before they pass the upper bound. Every document has
        /// at least the lower bound, but for one that holds what is left of the whole; none has more than both bounds together,
        /// unless it is a single file: files are not cut.
        case subtrees(ClosedRange<Int>)
    }

    /// The endings of file names that are taken, without their dot; all where it is empty.
    public var extensions: Set<String> = []
    public var joining = Joining.nothing
    /// Files and folders that are passed over, as paths from where the search begins.
    public var omitted: [String] = []
    /// Folders and files, as paths from where the search begins, whose text is not joined with any from outside of them.
    public var separate: [String] = []

    public init() {}

    /// The documents in files and folders, in the order of the arguments and, in a folder, of the bytes of their paths.
    ///
    /// Folders are searched to any depth; names that begin with a dot, links to folders and to nothing, files with another extension, and
    /// empty files are passed over. A file that is named itself is always taken.
    ///
    /// - Parameter excluded: a file that is passed over: the one that is about to be written.
    /// - Throws: ``PowerAttentionError`` with code `inputOutput` where a path cannot be read, `invalidArgument` where what is to be
    ///   omitted is not there.
    public func documents(in paths: [String], excluding excluded: String? = nil) throws(PowerAttentionError) -> [TextDocument] {
        let excluded = excluded.map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().path }
        var result: [TextDocument] = []
        var unmet = Set(omitted.map(Self.trimmed))
        for path in paths {
            if try Self.isFolder(path) {
                result += try documents(inFolder: path, excluding: excluded, unmet: &unmet)
            } else {
                let size = try OpenFile(reading: path).byteCount
                if size > 0 { result.append(TextDocument(name: path, files: [path], byteCount: size)) }
            }
        }
        if let stranger = unmet.min() {
            throw PowerAttentionError(
                argument: "omit", given: "\"\(stranger)\", which is not there", expected: "a file or a folder, from an input on"
            )
        }
        return result
    }

    /// - Parameter unmet: what is to be omitted and has not been found yet.
    private func documents(
        inFolder root: String, excluding excluded: String?, unmet: inout Set<String>
    ) throws(PowerAttentionError) -> [TextDocument] {
        let omitted = Set(omitted.map(Self.trimmed))
        var unread = [""]
        var found: [FoundFile] = []
        while let folder = unread.popLast() {
            for name in try Self.names(in: folder.isEmpty ? root : "\(root)/\(folder)") where !name.hasPrefix(".") {
                let relative = folder.isEmpty ? name : "\(folder)/\(name)"
                if omitted.contains(relative) {
                    unmet.remove(relative)
                    continue
                }
                let path = "\(root)/\(relative)"
                let isLink = (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) != nil
                if isLink, !FileManager.default.fileExists(atPath: path) { continue }
                if try Self.isFolder(path) {
                    if !isLink { unread.append(relative) }
                } else if extensions.isEmpty || extensions.contains(URL(fileURLWithPath: name).pathExtension),
                    excluded == nil || URL(fileURLWithPath: path).resolvingSymlinksInPath().path != excluded
                {
                    let size = try OpenFile(reading: path).byteCount
                    if size > 0 { found.append(FoundFile(path: relative, byteCount: size)) }
                }
            }
        }
        found.sort { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
        return join(found).map { document in
            var document = document
            document.files = document.files.map { "\(root)/\($0)" }
            return document
        }
    }

    /// The documents that files, which are sorted by their paths, are joined to: in the order of their first files.
    private func join(_ found: [FoundFile]) -> [TextDocument] {
        let separate = separate.map(Self.trimmed).sorted { $0.utf8.count > $1.utf8.count }
        var parts: [String: [FoundFile]] = [:]
        for file in found {
            parts[separate.first { Self.contains($0, file.path) } ?? "", default: []].append(file)
        }
        var result: [TextDocument] = []
        for (folder, files) in parts {
            if case .subtrees(let bounds) = joining {
                result += Subtrees(of: files, in: folder, bounds: bounds).documents
            } else {
                let depth = folder.split(separator: "/").count
                var places: [String: Int] = [:]
                for file in files {
                    let name = file.path == folder ? folder : group(of: file.path, depth: depth)
                    if let place = places[name] {
                        result[place].files.append(file.path)
                        result[place].byteCount += file.byteCount
                    } else {
                        places[name] = result.count
                        result.append(TextDocument(name: name, files: [file.path], byteCount: file.byteCount))
                    }
                }
            }
        }
        return result.sorted { $0.files[0].utf8.lexicographicallyPrecedes($1.files[0].utf8) }
    }

    /// The name of the document that a file belongs to, which is at least so many levels deep.
    private func group(of path: String, depth: Int) -> String {
        let folders = path.split(separator: "/").dropLast()
        switch joining {
        case .nothing, .subtrees: return path
        case .folders: return folders.joined(separator: "/") + "/"
        case .level(let level): return folders.prefix(max(level, depth)).joined(separator: "/") + "/"
        }
    }

    /// Whether a path is that of a folder, file or document, or of something in it.
    static func contains(_ place: String, _ path: String) -> Bool {
        !place.isEmpty && (path == place || path.utf8.starts(with: (place + "/").utf8))
    }

    /// A path without empty and single-dot components.
    static func trimmed(_ path: String) -> String {
        path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    private static func isFolder(_ path: String) throws(PowerAttentionError) -> Bool {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw PowerAttentionError(
                .inputOutput, argument: path, given: "does not exist", expected: "a text file or a folder")
        }
        return isFolder.boolValue
    }

    private static func names(in folder: String) throws(PowerAttentionError) -> [String] {
        do { return try FileManager.default.contentsOfDirectory(atPath: folder) } catch {
            throw PowerAttentionError(
                .inputOutput, argument: folder, given: "cannot be listed", expected: "a readable folder", cause: error)
        }
    }
}
