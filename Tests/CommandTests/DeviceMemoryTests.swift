import CUDABackend
import Foundation
import TestSupport
import Testing
import Training

/// What `power train` says that it takes of a card's memory, and what it takes: in a process of its own, because all of a process's tensors
/// count.
@Suite(.serialized, .enabled(if: (try? CUDABackend.shared().layers()) != nil)) struct DeviceMemoryTests {
    private static let workspace = 128.0

    @Test(arguments: [[], ["--recomputation"], ["--mlp", "swiglu", "--accumulation", "2"]])
    func whatIsExpectedIsTaken(options: [String]) throws {
        let folder = try TemporaryFolder()
        let result = try PowerProcess.run(
            [
                "train", "--device", "cuda", "--data", "austen", "--layers", "4", "--width", "64", "--heads", "2", "--context",
                "1024", "--batch-size", "2", "--steps", "2", "--evaluation-interval", "0", "-o", folder.file("run"),
            ] + options)
        try #require(result.status == 0, "\(result.errors)")
        let expected = try #require(result.errors.firstMatch(of: /about ([0-9.]+) MiB of the card/).flatMap { Double($0.1) })
        let last = try String(contentsOfFile: RunStore(folder.file("run")).metricsPath, encoding: .utf8).split(separator: "\n")
            .last
        let record = try JSONDecoder().decode(StepRecord.self, from: Data(try #require(last).utf8))
        let taken = Double(try #require(record.memory)) / Double(1 << 20)
        // Besides the workspace; what is printed is whole.
        #expect(abs(expected - taken) < 1 + 0.04 * (taken - Self.workspace), "\(expected) MiB expected, \(taken) taken")
    }
}
