import Foundation
package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Where NVIDIA's libraries are looked for, in order.
///
/// 1. the folders of `POWER_CUDA_PATH`, separated by colons: they win over everything
/// 2. the loader's own path (`LD_LIBRARY_PATH`, the loader's cache)
/// 3. `lib64` and `lib` of `CUDA_HOME` and `CUDA_PATH`
/// 4. `/usr/local/cuda/lib64`, then those of `/usr/local/cuda-*`, the newest first
/// 5. the folders `nvidia/*/lib` of Python environments, where `pip install` puts them
package struct LibrarySearch: Sendable {
    /// The folders of `POWER_CUDA_PATH`.
    let preferredFolders: [String]
    /// The folders that come after the loader's path.
    package let folders: [String]

    package init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        preferredFolders = (environment["POWER_CUDA_PATH"] ?? "").split(separator: ":").map(String.init)
        let homes = ["CUDA_HOME", "CUDA_PATH"].compactMap { environment[$0] }.filter { !$0.isEmpty }
        let versions = Self.contents(of: "/usr/local").filter { $0.hasPrefix("cuda-") }
            .sorted { $0.compare($1, options: .numeric) == .orderedDescending }
        let toolkits = homes + (["cuda"] + versions).map { "/usr/local/\($0)" }
        let system = toolkits.flatMap { ["\($0)/lib64", "\($0)/lib"] } + ["/usr/lib/wsl/lib"]
        let packaged = PythonPackages.folders(environment: environment).flatMap { site in
            Self.contents(of: "\(site)/nvidia").sorted { $0.compare($1, options: .numeric) == .orderedDescending }
                .map { "\(site)/nvidia/\($0)/lib" }
        }
        var seen = Set<String>()
        folders = (system + packaged).filter { Self.isFolder($0) && seen.insert($0).inserted }
    }

    static func contents(of folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    /// Opens the first library that is found under one of its names.
    ///
    /// - Throws: `unsupported`, with the names, the places, the loader's complaints and how to install the library.
    package func open(_ library: CUDALibrary) throws(PowerAttentionError) -> SharedLibrary {
        var refusals: [String] = []
        func attempt(_ folder: String, _ name: String) -> SharedLibrary? {
            let path = "\(folder)/\(name)"
            guard access(path, F_OK) == 0 else { return nil }
            var reason = ""
            if let opened = SharedLibrary(opening: path, anchor: library.anchor, reason: &reason) { return opened }
            refusals.append("\(path) cannot be opened: \(reason)")
            return nil
        }
        for folder in preferredFolders {
            for name in library.names {
                if let opened = attempt(folder, name) { return opened }
            }
        }
        for name in library.names {
            var reason = ""
            if let opened = SharedLibrary(opening: name, anchor: library.anchor, reason: &reason) { return opened }
            for folder in folders {
                if let opened = attempt(folder, name) { return opened }
            }
        }
        let places =
            preferredFolders.map { "\($0) (POWER_CUDA_PATH)" } + ["the loader's path"] + folders
            + (folders.isEmpty ? ["no toolkit, no Python environment"] : [])
        let found = refusals.isEmpty ? "no library" : "no library that opens: " + refusals.joined(separator: "; ") + ";"
        throw PowerAttentionError(
            .unsupported, argument: library.title,
            given: "\(found) (looked for \(library.names.joined(separator: ", ")) in \(places.joined(separator: ", ")))",
            expected: library.installation)
    }
}
