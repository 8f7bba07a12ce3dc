import Synchronization
package import Tensors

extension CUDAContext {
    /// Records what `body` queues, without doing it, as a graph that ``replay(_:)`` queues again and again.
    ///
    /// Other threads that queue work meanwhile wait. The body may allocate, launch, fill and copy to and on the card; it may not
    /// wait, record events or copy to the host.
    ///
    /// - Throws: the error of the body; `device` where the driver cannot make a graph of what was queued. Either way nothing was
    ///   done, and the card stays usable.
    package func capture(_ body: () throws(PowerAttentionError) -> Void) throws(PowerAttentionError) -> Graph {
        try inOrder { () throws(PowerAttentionError) in
            try refuseCapture("capture")
            // CU_STREAM_CAPTURE_MODE_RELAXED: the allocator may ask for memory while it records.
            try session.check(session.driver.streamBeginCapture(stream.handle, 2), "cuStreamBeginCapture")
            allocator.beginCapture()
            state.withLock { $0.capture = CaptureRecord() }
            var failure: PowerAttentionError?
            do throws(PowerAttentionError) { try body() } catch { failure = error }

            let copies = state.withLock { state in
                defer { state.capture = nil }
                return state.capture?.copies ?? []
            }
            let blocks = allocator.endCapture()
            do throws(PowerAttentionError) {
                let captured = try CapturedGraph(session, endingCaptureOf: stream)
                if let failure { throw failure }
                return Graph(try GraphExecutable(session, captured), allocator, blocks: blocks, copies: copies)
            } catch {
                for block in blocks { allocator.release(block) }
                throw failure ?? error
            }
        }
    }

    /// Queues the work of a graph.
    package func replay(_ graph: borrowing Graph) throws(PowerAttentionError) {
        let handle = graph.executable.handle
        try inOrder { () throws(PowerAttentionError) in
            try refuseCapture("replay")
            try session.check(session.driver.graphLaunch(handle, stream.handle), "cuGraphLaunch")
        }
    }
}
