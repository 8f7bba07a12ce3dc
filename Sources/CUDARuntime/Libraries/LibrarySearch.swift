import Foundation
package import Tensors

/// Where a library of CUDA is looked for: first what `POWER_CUDA_PATH` names (folders, separated by colons), then the loader's own
/// places, `CUDA_HOME`, `CUDA_PATH` and `/usr/local/cuda`, and the folders `nvidia/*/lib` of a Python environment.
package struct LibrarySearch: Sendable {
    /// Folders before the loader's own places, and after them.
    let preferred, others: [String]

    package init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        func folders(_ name: String) -> [String] {
            (environment[name] ?? "").split(separator: ":").map(String.init)
        }
        preferred = folders("POWER_CUDA_PATH")
        var others: [String] = []
        for root in folders("CUDA_HOME") + folders("CUDA_PATH") + Self.matches("/usr/local", prefix: "cuda") {
            others += ["\(root)/lib64", "\(root)/targets/x86_64-linux/lib", "\(root)/lib"]
        }
        for site in Self.sitePackages(environment) {
            for package in Self.matches("\(site)/nvidia", prefix: "") { others.append("\(package)/lib") }
        }
        self.others = others
    }

    /// The entries of a folder whose names begin with a prefix, the last in alphabetical order first.
    private static func matches(_ folder: String, prefix: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasPrefix(prefix) }.sorted(by: >).map { "\(folder)/\($0)" }
    }

    /// The package folders of the Python environment in use: the active one, and that of the `python3` on the path.
    private static func sitePackages(_ environment: [String: String]) -> [String] {
        var roots = [environment["VIRTUAL_ENV"], environment["CONDA_PREFIX"]].compactMap(\.self)
        for folder in (environment["PATH"] ?? "").split(separator: ":") {
            let python = "\(folder)/python3"
            guard FileManager.default.isExecutableFile(atPath: python) else { continue }
            let target = URL(fileURLWithPath: python).resolvingSymlinksInPath()
            roots.append(String(folder.dropLast(folder.hasSuffix("/bin") ? 4 : 0)))
            roots.append(target.deletingLastPathComponent().deletingLastPathComponent().path)
            break
        }
        var sites: [String] = []
        for root in roots {
            for library in matches("\(root)/lib", prefix: "python3") {
                sites += ["\(library)/site-packages", "\(library)/dist-packages"]
            }
        }
        return sites
    }

    /// Opens the first of the names that is found.
    ///
    /// - Throws: `PowerAttentionError` that says what was looked for, where, and how to install it.
    package func open(_ names: [String], purpose: String, installation: String) throws(PowerAttentionError) -> DynamicLibrary {
        let candidates =
            preferred.flatMap { folder in names.map { "\(folder)/\($0)" } } + names
            + others.flatMap { folder in names.map { "\(folder)/\($0)" } }
        for candidate in candidates {
            if candidate.contains("/") && !FileManager.default.fileExists(atPath: candidate) { continue }
            if let library = DynamicLibrary(candidate) { return library }
        }
        let places = preferred + ["the loader's path"] + others
        throw PowerAttentionError(
            .unsupported, argument: names.joined(separator: ", "),
            given: "no such library (looked in \(places.joined(separator: ", ")))",
            expected: "\(purpose): \(installation), or POWER_CUDA_PATH set to its folder")
    }
}
