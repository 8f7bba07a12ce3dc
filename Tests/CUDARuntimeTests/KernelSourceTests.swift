import CUDAKernels
import CUDARuntime
import Testing

@Suite struct KernelSourceTests {
    @Test func filesAreEmbedded() {
        let files = UnsafeBufferPointer(start: cuda_kernel_files(), count: cuda_kernel_file_count())
        #expect(files.contains { String(cString: $0.path) == "attention/forward.cu" && $0.size > 1000 })
    }
}
