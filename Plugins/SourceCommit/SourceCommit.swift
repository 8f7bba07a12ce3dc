import Foundation
import PackagePlugin

/// Writes down which commit is built.
///
/// A build command and no prebuild command: those run when a build is planned, which is left out where no file has come or gone. This one runs
/// when a source has changed or git's head has moved, and what it writes is compiled where it differs.
@main struct SourceCommit: BuildToolPlugin {
    /// What the program is built from.
    private static let sources = ["Package.swift", "Sources", "Benchmarks/Sources", "Plugins"]

    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let package = context.package.directoryURL
        let script = package.appending(path: "Plugins/SourceCommit/describe.sh")
        let output = context.pluginWorkDirectoryURL.appending(path: "BuiltFrom.swift")
        return [
            .buildCommand(
                displayName: "Commit of the sources", executable: URL(filePath: "/bin/sh"),
                arguments: [script.path, package.path, output.path] + Self.sources,
                inputFiles: Self.sources.flatMap { files(package.appending(path: $0)) } + head(of: package),
                outputFiles: [output])
        ]
    }

    /// A file, or all files in a folder but documentation, which is not compiled.
    private func files(_ item: URL) -> [URL] {
        let isFile = (try? item.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) == true
        guard !isFile else { return [item] }
        let children =
            (try? FileManager.default.contentsOfDirectory(at: item, includingPropertiesForKeys: [.isRegularFileKey])) ?? []
        return children.filter { $0.pathExtension != "docc" && !$0.lastPathComponent.hasPrefix(".") }
            .sorted { $0.path < $1.path }.flatMap(files)
    }

    /// What git changes when another commit is checked out, or one is made.
    private func head(of package: URL) -> [URL] {
        var folder = package.appending(path: ".git")
        // A working tree beside the repository has a file that says where its own is.
        if let text = try? String(contentsOf: folder, encoding: .utf8), text.hasPrefix("gitdir:") {
            let path = text.dropFirst("gitdir:".count).trimmingCharacters(in: .whitespacesAndNewlines)
            folder = URL(filePath: path, relativeTo: package.appending(path: "/")).absoluteURL
        }
        return ["HEAD", "logs/HEAD"].map { folder.appending(path: $0) }.filter {
            FileManager.default.fileExists(atPath: $0.path)
        }
    }
}
