import Foundation
import PowerAttention

/// What `power verify` found in all.
struct VerificationSummary: CustomStringConvertible {
    private var problems = 0
    private var variants = 0
    private var measurements = 0
    private var misses = 0
    private var failures = 0
    private var worst: (measurement: Verification.Measurement, row: VerificationRow)?
    private var determinism: (text: String, holds: Bool)?

    var passes: Bool { misses == 0 && failures == 0 && determinism?.holds != false }

    /// Adds the variants of one problem.
    mutating func add(_ rows: [VerificationRow]) {
        problems += 1
        variants += rows.count
        for row in rows {
            failures += row.failure == nil ? 0 : 1
            for measurement in row.measurements {
                measurements += 1
                misses += measurement.passes ? 0 : 1
                if worst.map({ $0.measurement.share < measurement.share }) ?? true { worst = (measurement, row) }
            }
        }
    }

    /// Runs the problem with the most numbers, of those for which the same bits are promised, twice in every variant and compares them.
    mutating func addDeterminism(
        _ cases: [VerificationCase], _ references: [Result<Verification, PowerAttentionError>], _ device: Device
    ) {
        func size(_ index: Int) -> Int {
            let shape = cases[index].problem.shape
            return shape.batch * shape.length * shape.queryHeads * (shape.keyWidth + shape.valueWidth)
        }
        func isReproducible(_ index: Int) -> Bool { (try? references[index].get().isReproducible(on: device)) ?? true }
        guard let index = cases.indices.sorted(by: { size($0) > size($1) }).first(where: isReproducible) else { return }
        let problem = cases[index].problem
        do throws(PowerAttentionError) {
            let verification = try references[index].get()
            var differing: [String] = []
            for variant in cases[index].variants where try !verification.isDeterministic(variant, on: device) {
                differing.append("\(variant)")
            }
            let result = differing.isEmpty ? "the same bits" : "DIFFERENT BITS (\(differing.joined(separator: ", ")))"
            determinism = ("Two runs give \(result): \(problem).", differing.isEmpty)
        } catch {
            determinism = ("Two runs could not be compared: \(problem): \(error)", false)
        }
    }

    var description: String {
        var text = "\(problems) problems, \(variants) variants, \(measurements) measurements: "
        if misses == 0 && failures == 0 {
            text += "all within their limits."
        } else {
            text += "\(misses) ABOVE THEIR LIMITS, \(failures) variants FAILED."
        }
        if let worst {
            text += String(format: "\nLargest share of a limit: %.2f, ", worst.measurement.share)
            text += "\(worst.measurement.tensor) of \(worst.row.variant): \(worst.row.problem)."
        }
        return text + (determinism.map { "\n\($0.text)" } ?? "")
    }
}
