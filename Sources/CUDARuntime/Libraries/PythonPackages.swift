import Foundation

/// The folders in which Python environments keep installed packages, found by looking at files: no interpreter is started.
enum PythonPackages {
    /// The `site-packages` of `VIRTUAL_ENV`, `CONDA_PREFIX` and of the `python3` on the `PATH`, in this order.
    static func folders(environment: [String: String]) -> [String] {
        var roots = ["VIRTUAL_ENV", "CONDA_PREFIX"].compactMap { environment[$0] }.filter { !$0.isEmpty }
        for folder in (environment["PATH"] ?? "").split(separator: ":") {
            let executable = "\(folder)/python3"
            guard FileManager.default.isExecutableFile(atPath: executable) else { continue }
            // An environment's python3 is a link out of it: its own folder comes first, the installation behind it second.
            let found = [executable, URL(fileURLWithPath: executable).resolvingSymlinksInPath().path].map { parent(parent($0)) }
            roots += found
            // A python3 that is a script which starts another one has no packages beside it; that one comes later on the path.
            if !found.flatMap(packages).isEmpty { break }
        }
        roots += roots.compactMap(home)
        var seen = Set<String>()
        return roots.filter { seen.insert($0).inserted }.flatMap(packages)
    }

    private static func parent(_ path: String) -> String { URL(fileURLWithPath: path).deletingLastPathComponent().path }

    private static func packages(below root: String) -> [String] {
        ["lib", "lib64"].flatMap { lib in
            LibrarySearch.contents(of: "\(root)/\(lib)").filter { $0.hasPrefix("python3") }.flatMap { version in
                ["site-packages", "dist-packages"].map { "\(root)/\(lib)/\(version)/\($0)" }
            }
        }.filter(LibrarySearch.isFolder)
    }

    /// The installation that a virtual environment was made from and may borrow packages of, from its `pyvenv.cfg`.
    private static func home(of root: String) -> String? {
        guard let text = try? String(contentsOfFile: "\(root)/pyvenv.cfg", encoding: .utf8) else { return nil }
        let values = text.split(separator: "\n").reduce(into: [String: String]()) { values, line in
            let parts = line.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        guard values["include-system-site-packages"]?.lowercased() == "true", let bin = values["home"] else { return nil }
        return parent(bin)
    }
}
