import Dispatch
import Synchronization
package import Tensors

/// Compiles kernels, in parallel, and keeps them on disk. Works without a card.
///
/// NVRTC 13.5 compiles programs at the same time without waiting for itself: two threads were both running in 99% of samples, and
/// took 3% more time of processors than one after the other.
package final class KernelCompiler: Sendable {
    private let compiler: @Sendable () throws(PowerAttentionError) -> NVRTC
    /// Where compiled kernels are kept, nil for nowhere.
    package let cache: KernelCache?
    private let files: KernelFiles
    private let state = Mutex(State())

    private struct State {
        var observer: (@Sendable (PowerAttentionError) -> Void)?
        var hasReported = false
        /// Digests of files with all that they include.
        var digests: [String: [UInt8]] = [:]
    }

    /// The compiler of this machine, with the user's cache.
    package static let shared = KernelCompiler()

    /// - Parameters:
    ///   - cache: where compiled kernels are kept, nil for nowhere.
    ///   - files: where kernels and what they include are found.
    ///   - compiler: called at the first use, and again after it has thrown.
    package init(
        cache: KernelCache? = .standard(), files: KernelFiles = .embedded,
        compiler: @escaping @Sendable () throws(PowerAttentionError) -> NVRTC = NVRTC.system
    ) {
        self.cache = cache
        self.files = files
        self.compiler = compiler
    }

    /// Told once why kernels cannot be kept on disk. That is no error: they are compiled again by the next process.
    package var cacheObserver: (@Sendable (PowerAttentionError) -> Void)? {
        get { state.withLock { $0.observer } }
        set { state.withLock { $0.observer = newValue } }
    }

    /// Compiles kernels on all cores, or takes them from the cache.
    ///
    /// - Parameter architecture: `sm_80`, `sm_90a`, …; see ``Architecture``.
    /// - Returns: one compiled kernel for each, in their order.
    /// - Throws: `unsupported` without a compiler or for an architecture that it does not know, `device` with the compiler's
    ///   words for a kernel that it refuses.
    package func compile(
        _ kernels: [KernelSource], architecture name: String
    ) throws(PowerAttentionError) -> [CompiledKernel] {
        let compiler = try compiler()
        let version = try compiler.versionText()
        let architecture = try Architecture(name, capabilities: compiler.supportedCapabilities())
        var digests: [[UInt8]] = []
        for kernel in kernels { digests.append(try digest(of: kernel.path)) }
        let results = Mutex([Result<CompiledKernel, PowerAttentionError>?](repeating: nil, count: kernels.count))
        let inputs = digests
        parallelFor(kernels.count) { index in
            let result = Result { () throws(PowerAttentionError) in
                try compile(kernels[index], inputs[index], architecture, compiler, version)
            }
            results.withLock { $0[index] = result }
        }
        var compiled: [CompiledKernel] = []
        for result in results.withLock({ $0 }) {
            if let result { compiled.append(try result.get()) }
        }
        return compiled
    }

    private func compile(
        _ kernel: KernelSource, _ digest: [UInt8], _ architecture: Architecture, _ compiler: NVRTC, _ version: String
    ) throws(PowerAttentionError) -> CompiledKernel {
        let start = DispatchTime.now().uptimeNanoseconds
        let options = Self.options(kernel, architecture)
        let key = Self.key(kernel, digest, options, "\(compiler.build) \(version)")
        var entry = cache?.entry(key)
        let isFromCache = entry != nil
        if entry == nil {
            let built = try build(kernel, options, architecture, compiler)
            store(built, key)
            entry = built
        }
        return CompiledKernel(
            source: kernel, architecture: architecture, image: entry?.image ?? [], report: entry?.report,
            seconds: Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9, isFromCache: isFromCache)
    }

    private func build(
        _ kernel: KernelSource, _ options: [String], _ architecture: Architecture, _ compiler: NVRTC
    ) throws(PowerAttentionError) -> CacheEntry {
        let headers = files.headers(of: kernel.path).map { (name: $0, text: files[$0] ?? "") }
        let program = try CompilerProgram(compiler, name: kernel.path, text: files[kernel.path] ?? "", headers: headers)
        try program.compile(options: options, blaming: "\(kernel) for \(architecture)")
        return CacheEntry(
            report: KernelReport(log: try program.log(), function: kernel.function),
            image: try program.image(isPTX: architecture.isPTX))
    }

    private func store(_ entry: CacheEntry, _ key: String) {
        do throws(PowerAttentionError) {
            try cache?.write(entry, key)
        } catch {
            let observer = state.withLock { state in
                let observer = state.hasReported ? nil : state.observer
                state.hasReported = true
                return observer
            }
            observer?(error)
        }
    }

    static func options(_ kernel: KernelSource, _ architecture: Architecture) -> [String] {
        ["--gpu-architecture=\(architecture)", "-std=c++17", "-default-device", "--ptxas-options=-v"]
            + kernel.macros.map { "-D\($0.name)=\($0.value)" }
    }

    private static func key(_ kernel: KernelSource, _ digest: [UInt8], _ options: [String], _ version: String) -> String {
        var hash = SHA256()
        for text in [version, kernel.function] + options { hash.update(text) }
        hash.update(digest)
        return hash.finishText()
    }

    /// The digest of a file and of every file that it includes.
    private func digest(of path: String) throws(PowerAttentionError) -> [UInt8] {
        guard let text = files[path] else {
            throw PowerAttentionError(
                argument: "kernel", given: path, expected: "one of \(files.paths.joined(separator: ", "))")
        }
        if let digest = state.withLock({ $0.digests[path] }) { return digest }
        var hash = SHA256()
        hash.update(path)
        hash.update(text)
        for header in files.headers(of: path) {
            hash.update(header)
            hash.update(files[header] ?? "")
        }
        let digest = hash.finish()
        state.withLock { $0.digests[path] = digest }
        return digest
    }
}
