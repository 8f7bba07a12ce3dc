import Foundation
public import Tensors

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
    }

    /// The endings of file names that are taken, without their dot; all where it is empty.
    public var extensions: Set<String> = []
    public var joining = Joining.nothing

    public init() {}

    /// The documents in files and folders, in the order of the arguments and, in a folder, of the bytes of their paths.
    ///
    /// Folders are searched to any depth; names that begin with a dot, links to folders, files with another extension, and empty
    /// files are passed over. A file that is named itself is always taken.
    ///
    /// - Parameter excluded: a file that is passed over: the one that is about to be written.
    /// - Throws: ``PowerAttentionError`` with code `inputOutput` where a path cannot be read.
    public func documents(in paths: [String], excluding excluded: String? = nil) throws(PowerAttentionError) -> [TextDocument] {
        let excluded = excluded.map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().path }
        var result: [TextDocument] = []
        for path in paths {
            if try Self.isFolder(path) {
                result += try documents(inFolder: path, excluding: excluded)
            } else {
                let size = try OpenFile(reading: path).byteCount
                if size > 0 { result.append(TextDocument(name: path, files: [path], byteCount: size)) }
            }
        }
        return result
    }

    private func documents(inFolder root: String, excluding excluded: String?) throws(PowerAttentionError) -> [TextDocument] {
        var result: [TextDocument] = []
        var places: [String: Int] = [:]
        var unread = [""]
        var found: [(relative: String, size: Int)] = []
        while let folder = unread.popLast() {
            for name in try Self.names(in: folder.isEmpty ? root : "\(root)/\(folder)") where !name.hasPrefix(".") {
                let relative = folder.isEmpty ? name : "\(folder)/\(name)"
                let path = "\(root)/\(relative)"
                if try Self.isFolder(path) {
                    if (try? FileManager.default.destinationOfSymbolicLink(atPath: path)) == nil { unread.append(relative) }
                } else if extensions.isEmpty || extensions.contains(URL(fileURLWithPath: name).pathExtension),
                    excluded == nil || URL(fileURLWithPath: path).resolvingSymlinksInPath().path != excluded
                {
                    let size = try OpenFile(reading: path).byteCount
                    if size > 0 { found.append((relative, size)) }
                }
            }
        }
        found.sort { $0.relative.utf8.lexicographicallyPrecedes($1.relative.utf8) }
        for (relative, size) in found {
            let name = group(of: relative)
            if let place = places[name] {
                result[place].files.append("\(root)/\(relative)")
                result[place].byteCount += size
            } else {
                places[name] = result.count
                result.append(TextDocument(name: name, files: ["\(root)/\(relative)"], byteCount: size))
            }
        }
        return result
    }

    /// The name of the document that a file belongs to.
    private func group(of relative: String) -> String {
        let folders = relative.split(separator: "/").dropLast()
        switch joining {
        case .nothing: return relative
        case .folders: return folders.joined(separator: "/") + "/"
        case .level(let level): return folders.prefix(level).joined(separator: "/") + "/"
        }
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
