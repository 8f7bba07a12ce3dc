import ArgumentParser
import CUDARuntime
import Foundation
import PowerAttention
import SourceCommit

/// `power verify`: a device against the definition in float64.
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check the operator on this machine against the definition in float64.",
        discussion: """
            Computes a table of problems on the device, in every form and with several chunk sizes, forward and backward, and \
            compares every output and gradient with an evaluation of the definition in float64 on the same rounded inputs. Degrees, \
            widths, types, gates, packed batches and states are in the table, and zeros, huge numbers and closed gates.

            A row is a problem: for each tensor the largest error ‖x − ref‖/‖ref‖ of all variants, an exclamation mark where it is \
            above its limit, then the largest share of a limit and the variant that has it.

            The exit status is 70 if an error is above its limit, if a call fails, or if two runs differ in a bit.

              power verify
              power verify --device cuda
              power verify --device cuda --filter "p=2 sum, bfloat16" --verbose
              compute-sanitizer --tool memcheck power verify --device cuda --short
            """)

    @Option(help: "The device to check: cpu, cuda or reference.") var device = Device.cpu
    @Flag(help: "About two dozen problems that touch everything once, for tools that slow a device down.") var short = false
    @Option(help: ArgumentHelp("Only problems whose description contains this.", valueName: "text")) var filter: String?
    @Flag(help: "A row for every form and chunk size.") var verbose = false
    @Option(help: ArgumentHelp("Multiply all limits by this, at most 1, to see how much room they leave.", valueName: "factor"))
    var limits = 1.0

    func validate() throws {
        guard limits > 0, limits <= 1 else {
            throw ValidationError("--limits: \(limits) given, expected more than 0 and at most 1")
        }
    }

    /// What the numbers belong to.
    private static func machine() throws -> String {
        let card = try CUDAContext.card().properties
        let driver = CUDAInstallation.current(cache: nil).driverRelease ?? "unknown"
        return "\(card.name), driver \(driver), commit \(SourceCommit.description).\n"
    }

    func run() throws {
        let table = short ? VerificationCase.short : VerificationCase.all
        let cases = filter.map { filter in table.filter { $0.problem.description.contains(filter) } } ?? table
        guard !cases.isEmpty else {
            throw PowerAttentionError(
                argument: "filter", given: filter ?? "",
                expected: "a part of a problem's description, such as \"\(table[0].problem)\"")
        }
        // A device that this machine lacks is one error, not one for each problem.
        _ = try device.backend(for: .float32)
        let start = ContinuousClock.now
        let terminal = Terminal.standardError
        defer { terminal.show("") }
        terminal.show("evaluating \(cases.count) problems in float64")
        let references = Verification.evaluate(cases.map(\.problem))
        terminal.show("compiling kernels")
        try Verification.prepare(
            zip(cases, references).compactMap { item, reference in
                (try? reference.get()).map { ($0, item.variants) }
            }, on: device)
        if device == .cuda { try StandardOutput.line(Self.machine()) }
        var summary = VerificationSummary()
        try StandardOutput.line(VerificationRow.head(limits: limits))
        for (item, reference) in zip(cases, references) {
            terminal.show("\(item.problem)")
            let rows = item.variants.map { VerificationRow(item.problem, $0, reference, device, limits: limits) }
            summary.add(rows)
            terminal.show("")
            for row in verbose ? rows : [VerificationRow(worstOf: rows)] { try StandardOutput.line("\(row)") }
        }
        summary.addDeterminism(cases, references, device)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        try StandardOutput.line("\n\(summary)\n\(String(format: "%.1f", seconds)) seconds on \(device.rawValue).")
        guard summary.passes else { throw ExitStatus.software.code }
    }
}
