/// The machine code of a kernel for one architecture.
package struct CompiledKernel: Sendable {
    package let cubin: [UInt8]
    package let report: KernelReport
    /// Seconds that the compiler took; 0 where the code was in the cache.
    package let seconds: Double
    package let isCached: Bool
}
