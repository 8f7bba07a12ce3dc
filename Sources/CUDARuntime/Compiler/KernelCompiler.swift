import Foundation
import Synchronization
package import Tensors

/// Compiles kernels, as many at once as there are cores, and keeps them on the disk.
///
/// Needs CUDA's run-time compiler, and no card.
package struct KernelCompiler: Sendable {
    package let cache: KernelCache?

    /// - Parameter cache: where compiled kernels are kept; `nil` compiles every time.
    package init(cache: KernelCache? = KernelCache()) { self.cache = cache }

    /// The machine code of every kernel, in order, for an architecture like `sm_90a`.
    ///
    /// - Throws: `PowerAttentionError` where there is no compiler, or it refuses a kernel or the architecture.
    package func compile(
        _ kernels: [KernelSource], architecture: String
    ) throws(PowerAttentionError) -> [CompiledKernel] {
        let nvrtc = try NVRTC.system()
        try check(architecture, nvrtc)
        // Functions of one file with the same macros are compiled together.
        var units: [Unit] = []
        var index: [Unit: Int] = [:]
        for kernel in kernels {
            let unit = Unit(kernel)
            if index[unit] == nil {
                index[unit] = units.count
                units.append(unit)
            }
        }
        let results = Mutex([Result<CompiledKernel, PowerAttentionError>?](repeating: nil, count: units.count))
        let work = units
        parallelFor(units.count) { number in
            let result = Result { () throws(PowerAttentionError) in
                try compile(work[number], architecture: architecture, nvrtc)
            }
            results.withLock { $0[number] = result }
        }
        var compiled: [CompiledKernel] = []
        for kernel in kernels {
            guard let number = index[Unit(kernel)], let result = results.withLock({ $0[number] }) else {
                preconditionFailure("every unit is compiled")
            }
            compiled.append(try result.get())
        }
        return compiled
    }

    /// What is compiled as one: a file with its macros.
    private struct Unit: Sendable, Hashable {
        let path: String
        let macros: [KernelSource.Macro]

        init(_ kernel: KernelSource) {
            path = kernel.path
            macros = kernel.macros
        }
    }

    private func check(_ architecture: String, _ nvrtc: NVRTC) throws(PowerAttentionError) {
        let number = Int(architecture.drop { !$0.isNumber }.prefix { $0.isNumber })
        let known = nvrtc.architectures
        guard architecture.hasPrefix("sm_"), let number, number >= 80, known.isEmpty || known.contains(number) else {
            throw PowerAttentionError(
                .unsupported, argument: "architecture", given: architecture,
                expected: "sm_80 or newer, as NVRTC \(nvrtc.version) knows them: "
                    + known.filter { $0 >= 80 }.map { "sm_\($0)" }.joined(separator: ", "))
        }
    }

    private func compile(
        _ unit: Unit, architecture: String, _ nvrtc: NVRTC
    ) throws(PowerAttentionError) -> CompiledKernel {
        let source = try KernelFiles.text(unit.path)
        let headers = KernelFiles.includes(of: unit.path)
        let options =
            [
                "--gpu-architecture=\(architecture)", "--std=c++17", "--device-as-default-execution-space",
                "--ptxas-options=-v", "--diag-suppress=177",
            ] + unit.macros.map { "--define-macro=\($0.name)=\($0.value)" }
        var key = KernelKey()
        key.add("NVRTC \(nvrtc.version)")
        for option in options { key.add(option) }
        for path in [unit.path] + headers {
            key.add(path)
            key.add(try KernelFiles.text(path))
        }
        if let kernel = cache?.read(key) { return kernel }
        let start = ContinuousClock.now
        var texts: [(String, String)] = []
        for path in headers { texts.append((path, try KernelFiles.text(path))) }
        let (cubin, log) = try nvrtc.compile(source, name: unit.path, headers: texts, options: options)
        let kernel = CompiledKernel(
            cubin: cubin, report: KernelReport(log: log), seconds: (ContinuousClock.now - start) / .seconds(1), isCached: false)
        // Where the cache cannot be written to, the next start compiles again.
        try? cache?.write(kernel, key)
        return kernel
    }
}
