import Dispatch
import Foundation

/// Runs `body(0) … body(count − 1)` on all cores and returns when every call has.
///
/// The calls may run in any order and at the same time, so they must write to different memory. Work is handed out one index
/// at a time: make items large (tens of microseconds) and, for balance, a few times as many as cores.
package func parallelFor(_ count: Int, _ body: @Sendable (Int) -> Void) {
    if count <= 1 || coreCount == 1 {
        for index in 0..<max(count, 0) { body(index) }
    } else {
        DispatchQueue.concurrentPerform(iterations: count, execute: body)
    }
}

/// The number of cores that work is spread over.
package let coreCount = max(1, ProcessInfo.processInfo.activeProcessorCount)

/// A pointer that may be captured by the body of ``parallelFor(_:_:)``: the caller promises that the calls write to different
/// parts of it.
package struct Shared<Element>: @unchecked Sendable {
    package let pointer: UnsafeMutablePointer<Element>
    package init(_ pointer: UnsafeMutablePointer<Element>) { self.pointer = pointer }
}

/// A pointer to memory that stays unchanged while the body of ``parallelFor(_:_:)`` runs.
package struct SharedReadOnly<Element>: @unchecked Sendable {
    package let pointer: UnsafePointer<Element>
    package init(_ pointer: UnsafePointer<Element>) { self.pointer = pointer }
}
