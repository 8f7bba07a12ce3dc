import Foundation
import TestSupport
import Testing

/// What is compiled into the program of the commit of a package. That it is written again when git's head has moved or a source has changed is the
/// package manager's work: its inputs are in the plugin.
@Suite struct SourceCommitTests {
    private let folder: TemporaryFolder
    private let home: TemporaryFolder

    init() throws {
        (folder, home) = (try TemporaryFolder(), try TemporaryFolder())
        for name in ["Package.swift", "README.md", "Sources/a.swift", "Sources/b/b.swift", "Sources/Guide.docc/Guide.md"] {
            try folder.write("1\n".utf8, to: name)
        }
        try git("init", "--quiet")
        try commit()
    }

    @discardableResult
    private func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("GIT_") }
        process.standardOutput = pipe
        try process.run()
        let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(program) \(arguments)")
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @discardableResult
    private func git(_ arguments: String...) throws -> String {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
        return try run("/usr/bin/env", ["git", "-C", folder.path] + identity + arguments)
    }

    private func commit() throws {
        try git("add", "--all")
        try git("commit", "--quiet", "--allow-empty", "--message", "a change")
    }

    /// The commit that the script writes down.
    private func described(_ path: String? = nil) throws -> String {
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../Plugins/SourceCommit/describe.sh")
        let file = home.file("BuiltFrom.swift")
        try run("/bin/sh", [script.path, path ?? folder.path, file, "Package.swift", "Sources"])
        let parts = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\"")
        try #require(parts.count == 3 && parts[0].hasSuffix("static var builtFrom: String { "))
        return String(parts[1])
    }

    @Test func theCommitIsTheOneThatIsCheckedOut() throws {
        let first = try git("describe", "--always")
        #expect(try described() == first)
        try commit()
        let second = try git("describe", "--always")
        #expect(try described() == second && second != first)
        try git("checkout", "--quiet", "HEAD~1")
        #expect(try described() == first)
    }

    @Test(arguments: ["Sources/b/b.swift", "Package.swift", "Sources/new.swift"])
    func differencesOfSourcesAreMarked(file: String) throws {
        let clean = try described()
        try folder.write("2\n".utf8, to: file)
        #expect(try described() == clean + "-dirty")
        try commit()
        #expect(try described() == git("describe", "--always"))
        try FileManager.default.removeItem(atPath: folder.file(file))
        #expect(try described().hasSuffix("-dirty"))
    }

    @Test(arguments: ["README.md", "new.txt", "Sources/Guide.docc/Guide.md"])
    func whatIsNotCompiledDoesNotCount(file: String) throws {
        try folder.write("2\n".utf8, to: file)
        #expect(try described() == git("describe", "--always"))
    }

    @Test func whatIsNoCheckoutOfItsOwnIsUnknown() throws {
        #expect(try described(folder.file("Sources")) == "unknown")
        #expect(try described(TemporaryFolder().path) == "unknown")
        #expect(try described(folder.file("absent")) == "unknown")
    }

    /// The commands print what was compiled in, or what they are told.
    @Test func whatIsPrinted() throws {
        let arguments = [
            "bench", "op", "--tokens", "64", "--heads", "1", "--width", "8", "--rounds", "1", "--pass", "forward", "--json",
        ]
        let told = try PowerProcess.run(arguments, shell: "POWER_COMMIT=told exec \"$0\" \"$@\"")
        #expect(told.output.contains("\"commit\":\"told\""))
        let built = try PowerProcess.run(arguments, shell: "unset POWER_COMMIT; cd / && exec \"$0\" \"$@\"")
        #expect(built.output.contains(#/"commit":"([^"]*[0-9a-f]{7,}(-dirty)?|unknown)"/#), "\(built.output)")
    }
}
