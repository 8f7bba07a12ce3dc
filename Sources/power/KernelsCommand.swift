import ArgumentParser
import CUDABackend
import CUDARuntime
import Foundation
import PowerAttention
import Tensors

/// `power kernels`: the GPU kernels, without a card.
struct KernelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels", abstract: "Compile GPU kernels ahead of their first use.",
        subcommands: [KernelsBuildCommand.self])
}

/// `power kernels build`: fills the cache for an architecture.
struct KernelsBuildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "build", abstract: "Compile the kernels of common problems into the cache; needs NVRTC, and no card.",
        discussion: """
            Compiles every kernel family in every precision for the shapes of common models, and lists what each takes of a card. A \
            kernel that spills registers to memory is marked, and with --strict an error.

            With --width, those of the power of such widths instead, each with each value width and degree, for eight heads and \
            sequences of a few thousand tokens.

              power kernels build --arch sm_90a
              power kernels build --arch sm_80 --filter "p = 2, bfloat16" --table
              power kernels build --arch sm_90a --width 48 96 --value-width 64 --degree 1 2 --strict
            """)

    @Option(help: "The architecture of the card: sm_80, sm_90a, sm_100a, …; that of the card at hand if not given.") var arch:
        String?
    @Option(help: "Only problems whose name contains this text, as in \"p = 2, bfloat16\".") var filter: String?
    @Option(parsing: .upToNextOption, help: "Widths of queries and keys, not those of common models.")
    var width: [Int] = []
    @Option(parsing: .upToNextOption, help: "Widths of values; those of the keys if not given.")
    var valueWidth: [Int] = []
    @Option(parsing: .upToNextOption, help: "Powers p of such widths.") var degree: [Int] = [2]
    @Option(help: "The type of their inputs: float32, bfloat16 or float16.") var dtype = DataType.bfloat16
    @Flag(inversion: .prefixedNo, help: "Whether they have gates.") var gated = true
    @Flag(help: "Print registers, spills and shared memory of every kernel.") var table = false
    @Flag(help: "End with an error if a kernel spills registers.") var strict = false
    @Flag(help: "Compile anew, and leave the cache alone.") var noCache = false

    func validate() throws {
        func check(_ name: String, _ given: [Int], _ legal: ClosedRange<Int>) throws {
            if let wrong = given.first(where: { !legal.contains($0) }) {
                throw ValidationError("--\(name): \(wrong) given, expected \(legal.lowerBound) to \(legal.upperBound)")
            }
        }
        try check("width", width, 1...256)
        try check("value-width", valueWidth, 1...256)
        try check("degree", degree, 1...4)
        try dtype.checkInput()
        if width.isEmpty && !(valueWidth.isEmpty && degree == [2] && dtype == .bfloat16 && gated) {
            throw ValidationError("--value-width, --degree, --dtype and --no-gated are for a --width")
        }
    }

    func run() throws {
        let architecture = try arch ?? CUDAContext.card().properties.architecture
        let limits = CardLimits(architecture: architecture)
        let entries = try (width.isEmpty ? KernelTable.entries(limits) : shapes.map { try KernelTable.entry($0, limits) })
            .filter { filter.map($0.name.contains) ?? true }
        guard !entries.isEmpty else {
            throw PowerAttentionError(argument: "filter", given: filter ?? "", expected: "part of a problem's name")
        }
        let compiler = KernelCompiler(cache: noCache ? nil : .standard())
        let sources = entries.flatMap { entry in entry.sources.map { (entry.name, $0) } }
        let start = ContinuousClock.now
        let kernels = try compiler.compile(sources.map(\.1), architecture: architecture)
        let seconds = (ContinuousClock.now - start) / .seconds(1)

        // A kernel that several problems share counts once.
        var seen: Set<KernelSource> = []
        let rows = zip(sources, kernels).filter { seen.insert($0.0.1).inserted }
        if table {
            print("| problem | kernel | registers | spills, bytes | stack, bytes | shared, bytes | seconds |")
            print("|---|---|---|---|---|---|---|")
            for ((name, source), kernel) in rows {
                guard let report = kernel.report else { continue }
                let seconds = kernel.isFromCache ? "cached" : String(format: "%.1f", kernel.seconds)
                print(
                    "| \(name) | \(Self.name(source)) | \(report.registers) | \(report.spillStores) | \(report.stackBytes) "
                        + "| \(report.sharedBytes) | \(seconds) |")
            }
        }
        let spilling = rows.filter { $0.1.report?.hasSpills ?? false }
        for ((name, source), kernel) in spilling {
            Terminal.standardError.line(
                "power: warning: \(source) (\(name)) spills \(kernel.report?.spillStores ?? 0) bytes on \(architecture)")
        }
        let cached = rows.filter { $0.1.isFromCache }.count
        let registers = rows.compactMap(\.1.report?.registers).max() ?? 0
        print(
            "\(architecture): \(rows.count) kernels, \(cached) of them from the cache, at most \(registers) registers, "
                + "\(spilling.count) with spills, \(String(format: "%.1f", seconds)) s")
        if strict && !spilling.isEmpty {
            throw PowerAttentionError(
                .device, argument: "kernels", given: "\(spilling.count) that spill registers", expected: "none")
        }
    }

    private var shapes: [KernelTable.Shape] {
        degree.flatMap { degree in
            width.flatMap { width in
                (valueWidth.isEmpty ? [width] : valueWidth).map {
                    KernelTable.Shape(.power(degree: degree), width: width, valueWidth: $0, dtype, isGated: gated)
                }
            }
        }
    }

    /// The function, and the direction of a walk over chunks.
    private static func name(_ source: KernelSource) -> String {
        source.function + (source.macros.contains { $0.name == "REVERSE" && $0.value == 1 } ? ", in reverse" : "")
    }
}
