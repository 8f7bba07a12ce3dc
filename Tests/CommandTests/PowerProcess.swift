import Foundation
import TestSupport

/// The built `power` command as a subprocess, its output in files.
final class PowerProcess {
    struct Result {
        var status: Int32
        var output: String
        var errors: String
    }

    let process = Process()
    private let folder: TemporaryFolder
    private let output: FileHandle
    private let errors: FileHandle

    /// - Parameters:
    ///   - shell: a script in which `$0` is the command, in place of calling it directly.
    ///   - input: a file for its standard input, which is empty otherwise.
    init(_ arguments: [String], shell: String? = nil, input: String? = nil) throws {
        folder = try TemporaryFolder()
        for name in ["output", "errors"] { try Data().write(to: URL(fileURLWithPath: "\(folder.path)/\(name)")) }
        output = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(folder.path)/output"))
        errors = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(folder.path)/errors"))
        process.executableURL = shell == nil ? Self.command : URL(fileURLWithPath: "/bin/sh")
        process.arguments = (shell.map { ["-c", $0, Self.command.path] } ?? []) + arguments
        process.standardInput = try input.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: $0)) } ?? .nullDevice
        process.standardOutput = output
        process.standardError = errors
        try process.run()
    }

    deinit {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Waits for the end. The status of a process that a signal ended is 128 and the signal's number.
    func wait() throws -> Result {
        process.waitUntilExit()
        let status = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
        return Result(status: status, output: try text("output"), errors: try text("errors"))
    }

    private func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name)")), as: UTF8.self)
    }

    static func run(_ arguments: [String], shell: String? = nil, input: String? = nil) throws -> Result {
        try PowerProcess(arguments, shell: shell, input: input).wait()
    }

    /// The executable beside the tests.
    private static var command: URL {
        let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL
        let tests = bundle ?? URL(fileURLWithPath: CommandLine.arguments[0])
        return tests.deletingLastPathComponent().appendingPathComponent("power")
    }
}
