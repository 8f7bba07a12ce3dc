import Dispatch

/// Wall-clock timing of calls in this process.
package enum Timing {
    package static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = DispatchTime.now().uptimeNanoseconds
        try body()
        return Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
    }

    /// The median time of `rounds` calls after one that is not counted.
    package static func median(rounds: Int, _ body: () throws -> Void) rethrows -> Double {
        try body()
        return median(try (0..<rounds).map { _ in try seconds(body) })
    }

    package static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    }
}
