/// A kernel as the driver loads it.
package struct CompiledKernel: Sendable {
    package let source: KernelSource
    package let architecture: Architecture
    /// A cubin; text in PTX that ends in a zero where ``Architecture/isPTX``.
    package let image: [UInt8]
    /// nil for PTX: nobody knows before the driver has assembled it.
    package let report: KernelReport?
    /// What compiling, or reading from the cache, took.
    package let seconds: Double
    package let isFromCache: Bool
}
