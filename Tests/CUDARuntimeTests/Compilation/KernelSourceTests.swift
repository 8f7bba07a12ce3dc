import CUDAKernels
import CUDARuntime
import Testing

@Suite struct KernelSourceTests {
    @Test func filesAreEmbedded() {
        let files = UnsafeBufferPointer(start: cuda_kernel_files(), count: cuda_kernel_file_count())
        #expect(files.contains { String(cString: $0.path) == "attention/forward.cu" && $0.size > 1000 })
    }

    /// A kernel is compiled again when a header changes that it includes through others.
    @Test func headersAreFollowed() {
        let files = KernelFiles.embedded
        let kernels = files.paths.filter { $0.hasSuffix(".cu") }
        #expect(kernels.contains("attention/forward.cu"))
        for kernel in kernels { #expect(files.headers(of: kernel).contains("common/ptx.cuh")) }
    }
}
