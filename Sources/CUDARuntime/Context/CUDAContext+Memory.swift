import Synchronization
package import Tensors

extension CUDAContext {
    /// Memory for `byteCount` bytes, 256-byte aligned, with arbitrary content.
    ///
    /// - Throws: `invalidArgument` for a negative count; `outOfMemory` with what was asked, held and free where the card has no
    ///   room even after idle memory was given back. Everything that is held stays valid.
    package func allocate(_ byteCount: Int) throws(PowerAttentionError) -> DeviceMemory {
        guard byteCount >= 0 else {
            throw PowerAttentionError(argument: "byteCount", given: "\(byteCount)", expected: "0 or more")
        }
        return try inOrder { () throws(PowerAttentionError) in
            do throws(PowerAttentionError) {
                return try allocator.allocate(byteCount)
            } catch  where error.code == .outOfMemory {
                do throws(PowerAttentionError) {
                    releaseCachedMemory()
                    return try allocator.allocate(byteCount)
                } catch  where error.code == .outOfMemory {
                    throw PowerAttentionError(
                        .outOfMemory, argument: "memory of card \(properties.ordinal) (\(properties.name))",
                        given: "\(MemoryReport.text(byteCount)) asked for, with \(memoryReport)",
                        expected: "less at a time (a smaller batch, a shorter context), or a card that others do not use",
                        cause: error)
                }
            }
        }
    }

    /// What is held on the card, and what it has left.
    package var memoryReport: MemoryReport {
        var free = 0
        var total = 0
        if (try? session.makeCurrent()) == nil || session.driver.memGetInfo(&free, &total) != 0 {
            (free, total) = (0, properties.totalMemory)
        }
        let usage = allocator.usage
        return MemoryReport(inUse: usage.inUse, idle: usage.idle, peak: usage.peak, free: free, total: total)
    }

    /// Gives memory that nothing uses back to the driver, after waiting for the card. Within a capture, which may not wait,
    /// nothing happens.
    package func releaseCachedMemory() {
        try? inOrder { () throws(PowerAttentionError) in
            guard !isCapturing else { return }
            // The driver waits before it frees; waiting here keeps that true of every driver.
            _ = session.driver.streamSynchronize(stream.handle)
            allocator.releaseIdle()
        }
    }

    /// Copies to the card. The host's memory may be changed as soon as this returns.
    ///
    /// Within a capture, the bytes are kept with the graph, and every replay copies them again.
    package func copy(_ source: UnsafeRawBufferPointer, to destination: DevicePointer) throws(PowerAttentionError) {
        guard source.count > 0 else { return }
        try inOrder { () throws(PowerAttentionError) in
            use(destination)
            let kept = isCapturing ? HostBytes(copying: source) : nil
            try session.check(
                session.driver.memcpyHtoDAsync(
                    destination.address, kept?.start ?? source.baseAddress, source.count, stream.handle),
                "cuMemcpyHtoDAsync", "\(source.count) bytes")
            if let kept { state.withLock { $0.capture?.copies.append(kept) } }
            guard kept == nil else { return }
            try session.check(session.driver.streamSynchronize(stream.handle), "cuStreamSynchronize", "a copy to the card")
        }
    }

    /// Copies to the host, after all that was queued; on return the bytes are there.
    package func copy(_ source: DevicePointer, to destination: UnsafeMutableRawBufferPointer) throws(PowerAttentionError) {
        guard destination.count > 0 else { return }
        try inOrder { () throws(PowerAttentionError) in
            try refuseCapture("copy to the host")
            try session.check(
                session.driver.memcpyDtoHAsync(destination.baseAddress, source.address, destination.count, stream.handle),
                "cuMemcpyDtoHAsync", "\(destination.count) bytes")
            try synchronize()
        }
    }

    /// Pinned memory of the host.
    package func pinned(_ byteCount: Int) throws(PowerAttentionError) -> PinnedMemory {
        try inOrder { () throws(PowerAttentionError) in try PinnedMemory(session, byteCount: byteCount) }
    }

    /// Queues a copy to the card and returns: the host's memory must stay as it is until the copy is done.
    package func queueCopy(_ source: PinnedMemory, to destination: DevicePointer) throws(PowerAttentionError) {
        guard source.bytes.count > 0 else { return }
        try inOrder { () throws(PowerAttentionError) in
            try refuseCapture("a copy from pinned memory")
            try session.check(
                session.driver.memcpyHtoDAsync(
                    destination.address, source.bytes.baseAddress, source.bytes.count, stream.handle),
                "cuMemcpyHtoDAsync", "\(source.bytes.count) bytes")
        }
    }

    /// Queues a copy to the host and returns: the bytes are there when what was queued so far is done.
    package func queueCopy(_ source: DevicePointer, to destination: PinnedMemory) throws(PowerAttentionError) {
        guard destination.bytes.count > 0 else { return }
        try inOrder { () throws(PowerAttentionError) in
            try refuseCapture("a copy to pinned memory")
            try session.check(
                session.driver.memcpyDtoHAsync(
                    destination.bytes.baseAddress, source.address, destination.bytes.count, stream.handle),
                "cuMemcpyDtoHAsync", "\(destination.bytes.count) bytes")
        }
    }

    /// Copies on the card, after what was queued before. The two regions must not overlap.
    package func copy(
        _ source: DevicePointer, to destination: DevicePointer, byteCount: Int
    ) throws(PowerAttentionError) {
        guard byteCount > 0 else { return }
        try inOrder { () throws(PowerAttentionError) in
            use(source)
            use(destination)
            try session.check(
                session.driver.memcpyDtoDAsync(destination.address, source.address, byteCount, stream.handle),
                "cuMemcpyDtoDAsync", "\(byteCount) bytes")
        }
    }

    /// Sets bytes on the card, after what was queued before.
    package func fill(_ destination: DevicePointer, byte: UInt8, byteCount: Int) throws(PowerAttentionError) {
        guard byteCount > 0 else { return }
        try inOrder { () throws(PowerAttentionError) in
            use(destination)
            try session.check(
                session.driver.memsetD8Async(destination.address, byte, byteCount, stream.handle), "cuMemsetD8Async",
                "\(byteCount) bytes")
        }
    }

    /// Holds memory for the graph that is being captured, if one is.
    func use(_ pointer: DevicePointer) {
        if isCapturing { allocator.use(pointer) }
    }
}
