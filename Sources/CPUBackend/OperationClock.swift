import Dispatch
import Synchronization

/// Where a benchmark learns how much of a stretch of work went to the operator and to matrix products. Off unless a benchmark
/// turns it on; then every call of either costs two readings of the clock.
package enum OperationClock {
    package struct Times: Sendable {
        package var seconds = 0.0
        package var matrixProducts = 0.0
        package var attention = 0.0
        /// The floating-point operations of the matrix products.
        package var productOperations = 0.0

        /// The share of the time that went to neither.
        package var otherShare: Double { 1 - (matrixProducts + attention) / seconds }
    }

    enum Operation {
        case matrixProduct(operations: Double)
        case attention
    }

    private static let isRunning = Atomic(false)
    private static let times = Mutex(Times())

    /// Runs `body` with the clock on; one caller at a time.
    package static func record<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) -> Times {
        times.withLock { $0 = Times() }
        isRunning.store(true, ordering: .sequentiallyConsistent)
        defer { isRunning.store(false, ordering: .sequentiallyConsistent) }
        let start = DispatchTime.now().uptimeNanoseconds
        try body()
        let total = DispatchTime.now().uptimeNanoseconds - start
        return times.withLock {
            $0.seconds = Double(total) * 1e-9
            return $0
        }
    }

    static func measure<Result, Failure: Error>(
        _ operation: Operation, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard isRunning.load(ordering: .relaxed) else { return try body() }
        let start = DispatchTime.now().uptimeNanoseconds
        let result = try body()
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9
        times.withLock {
            switch operation {
            case .matrixProduct(let operations):
                $0.matrixProducts += seconds
                $0.productOperations += operations
            case .attention: $0.attention += seconds
            }
        }
        return result
    }
}
