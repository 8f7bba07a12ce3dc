import Foundation
import Synchronization
package import Tensors

extension CUDAContext {
    /// Compiles those of the kernels that are not on the card yet, in parallel, and loads them.
    ///
    /// A launch does this for its kernel where it has to; naming all kernels of a step beforehand is what makes it parallel.
    package func prepare(_ kernels: [KernelSource]) throws(PowerAttentionError) {
        loading.lock()
        defer { loading.unlock() }
        var seen = Set<KernelSource>()
        let missing = state.withLock { state in
            kernels.filter { state.kernels[$0] == nil && seen.insert($0).inserted }
        }
        guard !missing.isEmpty else { return }
        let compiled = try compiler.compile(missing, architecture: properties.architecture)
        try session.makeCurrent()
        for kernel in compiled {
            let loaded = try LoadedKernel(session, kernel)
            state.withLock { $0.kernels[kernel.source] = loaded }
        }
    }

    /// Queues a kernel. Grids without blocks are skipped.
    ///
    /// - Throws: `invalidArgument` for a launch beyond the limits of the kernel or of the card, `device` where the driver refuses
    ///   it or reports the failure of an earlier one.
    package func launch(_ launch: KernelLaunch) throws(PowerAttentionError) {
        guard !launch.grid.isEmpty else { return }
        let kernel = try loaded(launch.kernel)
        try inOrder { () throws(PowerAttentionError) in
            try kernel.admit(launch, on: properties)
            let (observer, capturing) = state.withLock { ($0.observer, $0.capture != nil) }
            observer?(launch)
            if capturing {
                for pointer in launch.arguments.compactMap(\.address) { allocator.use(pointer) }
            }
            session.remember(launch.kernel)
            let result = launch.withArguments { arguments in
                session.driver.launchKernel(
                    kernel.function, Driver.Extent(launch.grid.x, launch.grid.y, launch.grid.z),
                    Driver.Extent(launch.threads), CUnsignedInt(launch.sharedBytes), stream.handle, arguments,
                    launch.startsEarly)
            }
            withExtendedLifetime(launch) {}
            try session.check(result, "cuLaunchKernel", launch.description)
        }
    }

    /// What a kernel takes of a multiprocessor of this card; compiles and loads it where it has to.
    package func report(of kernel: KernelSource) throws(PowerAttentionError) -> KernelReport { try loaded(kernel).report }

    func loaded(_ kernel: KernelSource) throws(PowerAttentionError) -> LoadedKernel {
        if let loaded = state.withLock({ $0.kernels[kernel] }) { return loaded }
        try prepare([kernel])
        guard let loaded = state.withLock({ $0.kernels[kernel] }) else {
            throw PowerAttentionError(
                .device, argument: "\(kernel)", given: "not loaded", expected: "a kernel that is prepared")
        }
        return loaded
    }
}

extension KernelLaunch {
    /// Calls `body` with pointers to the arguments, as the driver takes them.
    func withArguments<R>(_ body: (UnsafeMutablePointer<UnsafeMutableRawPointer?>) -> R) -> R {
        let wordCount = arguments.reduce(0) { $0 + $1.wordCount }
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: max(1, wordCount)) { values in
            withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: max(1, arguments.count)) { pointers in
                var place = 0
                for (index, argument) in arguments.enumerated() {
                    argument.store(to: values.baseAddress! + place)
                    pointers.initializeElement(at: index, to: UnsafeMutableRawPointer(values.baseAddress! + place))
                    place += argument.wordCount
                }
                return body(pointers.baseAddress!)
            }
        }
    }
}
