import Foundation
import PowerAttention

/// One line of `power verify`: the errors of one variant of a problem, or the worst of all variants.
struct VerificationRow: CustomStringConvertible {
    let problem: VerificationProblem
    /// The variant that was measured, or the one that comes closest to a limit.
    private(set) var variant: Verification.Variant
    private(set) var measurements: [Verification.Measurement]
    /// Why there are no measurements.
    private(set) var failure: PowerAttentionError?

    init(
        _ problem: VerificationProblem, _ variant: Verification.Variant,
        _ reference: Result<Verification, PowerAttentionError>, _ device: Device, limits: Double
    ) {
        self.problem = problem
        self.variant = variant
        do throws(PowerAttentionError) {
            measurements = try reference.get().measure(variant, on: device)
            for index in measurements.indices { measurements[index].limit *= limits }
        } catch {
            measurements = []
            failure = error
        }
    }

    /// - Precondition: there are rows, all of one problem.
    init(worstOf rows: [VerificationRow]) {
        self = rows.first { $0.failure != nil } ?? rows.max { $0.share < $1.share } ?? rows[0]
        var worst: [String: Verification.Measurement] = [:]
        for measurement in rows.flatMap(\.measurements)
        where worst[measurement.tensor].map({ $0.share < measurement.share }) ?? true {
            worst[measurement.tensor] = measurement
        }
        measurements = Self.tensors.compactMap { worst[$0] }
    }

    var passes: Bool { failure == nil && measurements.allSatisfy(\.passes) }

    /// The largest error over its limit.
    var share: Double { measurements.map(\.share).max() ?? 0 }

    /// What goes out, and the gradients of what goes in, in the order of the columns.
    static let tensors = ["y", "dq", "dk", "dv", "dlog_g", "S", "z", "dS", "dz"]

    private static let width = 8

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(width - text.count, 0)) + text
    }

    /// What the columns are, and what the limits are, multiplied by a factor.
    static func head(limits factor: Double) -> String {
        let limits = [DataType.float32, .float16, .bfloat16].map { type in
            let limit = Tolerance(type)
            return "  \(type): "
                + String(
                    format: "%.0e for y, S and z, %.0e for gradients, %.0e for dlog_g", factor * limit.output,
                    factor * limit.gradient,
                    factor * limit.gateGradient)
        }
        let columns = tensors.map { padded($0, width) }.joined() + padded("share", width)
        return
            (["Errors ‖x − ref‖/‖ref‖ against the definition in float64. Limits:"] + limits + [
                "", "     " + columns + "  variant, problem",
            ])
            .joined(separator: "\n")
    }

    var description: String {
        let errors = Dictionary(uniqueKeysWithValues: measurements.map { ($0.tensor, $0) })
        let cells = Self.tensors.map { tensor in
            guard let measurement = errors[tensor] else { return Self.padded("-", Self.width) }
            let error = measurement.error == 0 ? "0" : String(format: "%.0e", measurement.error)
            return Self.padded(error + (measurement.passes ? "" : "!"), Self.width)
        }
        let line =
            (passes ? "ok   " : "MISS ") + cells.joined() + Self.padded(String(format: "%.2f", share), Self.width)
            + "  \(variant): \(problem)"
        return line + (failure.map { "\n     failed: \($0)" } ?? "")
    }
}
