import Benchmarks
import Foundation

/// Measurements of the operator in columns.
enum OperatorTable {
    private static let columns = [
        ("pass", 8), ("batch", 7), ("context", 9), ("form", 10), ("chunk", 7), ("ms", 11), ("TFLOP/s", 9), ("GB/s", 9),
        ("copy ms", 10), ("of copy", 9), ("compile s", 11),
    ]

    static var head: String { join(columns.map(\.0)) }

    static func line(_ measurement: OperatorMeasurement) -> String {
        join([
            measurement.pass, "\(measurement.batch)", "\(measurement.length)", measurement.form, "\(measurement.chunk)",
            String(format: "%.3f", measurement.milliseconds), String(format: "%.3g", measurement.tflops),
            String(format: "%.3g", measurement.gbytesPerSecond),
            measurement.copyMilliseconds.map { String(format: "%.3f", $0) } ?? "–",
            measurement.copyShare.map { String(format: "%.0f%%", 100 * $0) } ?? "–",
            String(format: "%.1f", measurement.compileSeconds),
        ])
    }

    private static func join(_ cells: [String]) -> String {
        zip(cells, columns).map { String(repeating: " ", count: max($1.1 - $0.count, 1)) + $0 }.joined()
    }
}
