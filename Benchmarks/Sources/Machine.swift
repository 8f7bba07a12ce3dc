import CKernels
import Foundation
import Tensors

/// What a benchmark runs on.
package struct Machine: Sendable, Codable {
    package var processor: String
    package var cores: Int
    package var memoryBytes: UInt64
    package var system: String

    package init() {
        let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = info.split(separator: "\n").first { $0.hasPrefix("model name") }
        processor = line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
        cores = coreCount
        memoryBytes = ProcessInfo.processInfo.physicalMemory
        system = ProcessInfo.processInfo.operatingSystemVersionString
    }

    /// The largest resident size of this process so far in bytes, or `nil` where the system does not tell.
    package static var peakResidentBytes: Int? {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }

    /// The rate of independent multiply-adds in registers on all cores at once, in floating-point operations a second: the median
    /// of several rounds.
    package static func registerPeak() -> Double {
        let rounds = (0..<7).map { _ in
            let steps = 4_000_000
            var operations = 0.0
            let seconds = Timing.seconds {
                var counts = [Double](repeating: 0, count: coreCount)
                counts.withUnsafeMutableBufferPointer { buffer in
                    guard let base = buffer.baseAddress else { return }
                    let shared = Shared(base)
                    parallelFor(coreCount) { core in
                        var sink: Float = 0
                        shared.pointer[core] = register_peak_float(steps, &sink)
                    }
                }
                operations = counts.reduce(0, +)
            }
            return operations / seconds
        }
        return Timing.median(rounds)
    }
}
