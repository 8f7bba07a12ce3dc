import Foundation
import Synchronization
import Tensors

/// Reads the parts of coming steps on a thread of its own, in their order, into a few pinned batches that go round.
final class BatchPrefetcher: Sendable {
    private struct State {
        var free: [PinnedBatch]
        var ready: [PinnedBatch] = []
        var failure: PowerAttentionError?
        var isStopped = false
    }

    private final class Exchange: Sendable {
        let state: Mutex<State>
        let condition = NSCondition()

        init(_ buffers: [PinnedBatch]) { state = Mutex(State(free: buffers)) }

        /// Waits until `attempt` gives something.
        func wait<Value>(_ attempt: (inout sending State) -> Value?) -> Value {
            condition.lock()
            defer { condition.unlock() }
            while true {
                if let value = state.withLock({ attempt(&$0) }) { return value }
                condition.wait()
            }
        }

        func change(_ body: (inout sending State) -> Void) {
            condition.lock()
            state.withLock { body(&$0) }
            condition.broadcast()
            condition.unlock()
        }
    }

    private let exchange: Exchange

    /// - Parameter check: throws for a batch that the model cannot read.
    init(
        _ batches: BatchSequence, from first: Int, through last: Int, parts: Int, buffers: [PinnedBatch],
        check: @escaping @Sendable (Batch) throws(PowerAttentionError) -> Void
    ) {
        let exchange = Exchange(buffers)
        self.exchange = exchange
        let thread = Thread {
            for step in first..<max(first, last + 1) {
                for part in 0..<parts {
                    let buffer: PinnedBatch? = exchange.wait { state in
                        state.isStopped ? .some(nil) : state.free.popLast().map { .some($0) }
                    }
                    guard let buffer else { return }
                    do throws(PowerAttentionError) {
                        let batch = try batches.batch(step: step, part: part)
                        try check(batch)
                        buffer.fill(batch)
                    } catch {
                        return exchange.change { $0.failure = error }
                    }
                    exchange.change { $0.ready.append(buffer) }
                }
            }
        }
        thread.name = "batches"
        thread.start()
    }

    deinit { exchange.change { $0.isStopped = true } }

    /// The next part; waits for it.
    func next() throws(PowerAttentionError) -> PinnedBatch {
        let result: Result<PinnedBatch, PowerAttentionError> = exchange.wait { state in
            if !state.ready.isEmpty { return .success(state.ready.removeFirst()) }
            return state.failure.map { .failure($0) }
        }
        return try result.get()
    }

    /// Gives back parts whose copies are done.
    func recycle(_ buffers: [PinnedBatch]) { exchange.change { $0.free += buffers } }
}
