import Foundation

/// Where measurements come from.
enum SourceCommit {
    /// The commit that is checked out here, with a mark where files differ from it; where the sources are not at hand, what the environment says
    /// in `POWER_COMMIT`.
    static var description: String {
        if let commit = ProcessInfo.processInfo.environment["POWER_COMMIT"] { return commit }
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["git", "describe", "--always", "--dirty"]
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return "unknown" }
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let name = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return name.isEmpty ? "unknown" : name
    }
}
