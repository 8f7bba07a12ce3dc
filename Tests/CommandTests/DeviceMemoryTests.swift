import CUDABackend
import Foundation
import TestSupport
import Testing
import Training

/// What `power train` says that it takes of a card's memory, and what it takes: in a process of its own, because all of a process's tensors
/// count.
@Suite(.serialized, .enabled(if: (try? CUDABackend.shared().layers()) != nil)) struct DeviceMemoryTests {
    private static let workspace = 128.0

    private static func arguments(_ folder: TemporaryFolder) -> [String] {
        [
            "train", "--device", "cuda", "--data", "austen", "--layers", "4", "--width", "64", "--heads", "2", "--context",
            "1024", "--batch-size", "2", "--steps", "2", "--evaluation-interval", "0", "-o", folder.file("run"),
        ]
    }

    @Test(arguments: [[], ["--recomputation"], ["--mlp", "swiglu", "--accumulation", "2"]])
    func whatIsExpectedIsTaken(options: [String]) throws {
        let folder = try TemporaryFolder()
        let result = try PowerProcess.run(Self.arguments(folder) + options)
        try #require(result.status == 0, "\(result.errors)")
        let expected = try #require(result.errors.firstMatch(of: /about ([0-9.]+) MiB of the card/).flatMap { Double($0.1) })
        let last = try String(contentsOfFile: RunStore(folder.file("run")).metricsPath, encoding: .utf8).split(separator: "\n")
            .last
        let record = try JSONDecoder().decode(StepRecord.self, from: Data(try #require(last).utf8))
        let taken = Double(try #require(record.memory)) / Double(1 << 20)
        // Besides the workspace; what is printed is whole.
        #expect(abs(expected - taken) < 1 + 0.04 * (taken - Self.workspace), "\(expected) MiB expected, \(taken) taken")
    }

    /// An emulated card of 150 MiB is too small for 156; a card is not.
    @Test func whatDoesNotFitIsSaidBefore() throws {
        let folder = try TemporaryFolder()
        let result = try PowerProcess.run(
            Self.arguments(folder), shell: "POWER_CUDA_EMULATION_MEMORY=157286400 exec \"$0\" \"$@\"")
        #expect(result.errors.contains("which is not enough") == (result.status != 0), "\(result.errors)")
    }
}
