import CUDARuntime
import Foundation
import Tensors
import TestSupport
import Testing

/// The compiler itself, where it is installed.
@Suite(.enabled(if: (try? NVRTC.system()) != nil)) struct NVRTCTests {
    static let files = KernelFiles([
        "family/scale.cu": """
        #include "common/factor.cuh"
        extern "C" __global__ void scale(float *x, int count) {
            __shared__ float shared[64];
            int index = blockIdx.x * blockDim.x + threadIdx.x;
            shared[threadIdx.x] = index < count ? x[index] : 0;
            __syncthreads();
            if (index < count) x[index] = factor(shared[63 - threadIdx.x]);
        }
        """,
        "common/factor.cuh": "float factor(float x) { return FACTOR * x; }",
    ])
    static func kernel(_ factor: Int) -> KernelSource { KernelSource("family/scale.cu", "scale", macros: [("FACTOR", factor)]) }

    @Test(arguments: ["sm_80", "sm_90a", "sm_100a"]) func compiles(_ architecture: String) throws {
        let compiler = KernelCompiler(cache: nil, files: Self.files)
        let kernel = try #require(try compiler.compile([Self.kernel(3)], architecture: architecture).first)
        #expect(kernel.image.starts(with: [0x7F] + Array("ELF".utf8)))
        let report = try #require(kernel.report)
        #expect((1...64).contains(report.registers))
        #expect(report.sharedBytes >= 256 && !report.hasSpills)
        #expect(!kernel.isFromCache)
    }

    @Test func aCardOfTheFutureGetsPTX() throws {
        let kernel = try KernelCompiler(cache: nil, files: Self.files).compile([Self.kernel(3)], architecture: "sm_999")[0]
        #expect(kernel.architecture.isPTX && kernel.report == nil && kernel.image.last == 0)
        #expect(String(decoding: kernel.image, as: UTF8.self).contains(".entry scale"))
    }

    @Test func saysWhatIsWrong() throws {
        let compiler = KernelCompiler(
            cache: nil, files: KernelFiles(["a.cu": "extern \"C\" __global__ void f() { unknown = 1; }"]))
        let error = #expect(throws: PowerAttentionError.self) {
            try compiler.compile([KernelSource("a.cu", "f", macros: [("A", 1)])], architecture: "sm_90a")
        }
        #expect(error?.description.contains("unknown") == true && error?.description.contains("f[A=1]") == true)
        #expect(error?.code == .device)
    }
}
