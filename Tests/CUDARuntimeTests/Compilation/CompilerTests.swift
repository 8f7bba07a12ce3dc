import CUDARuntime
import Tensors
import Testing

@Suite struct CompilerTests {
    @Test func cardsHaveTheirArchitectures() {
        #expect(Architecture.name(major: 8, minor: 0) == "sm_80")
        #expect(Architecture.name(major: 8, minor: 9) == "sm_89")
        #expect(Architecture.name(major: 9, minor: 0) == "sm_90a")
        #expect(Architecture.name(major: 10, minor: 0) == "sm_100a")
        #expect(Architecture.name(major: 12, minor: 0) == "sm_120")
    }

    @Test func aCardThatIsNewerThanTheCompilerGetsPTX() throws {
        let kernel = try PretendingCompiler().kernelCompiler().compile([PretendingCompiler.kernel()], architecture: "sm_103")[0]
        #expect(kernel.architecture.name == "compute_100" && kernel.architecture.isPTX && kernel.image.last == 0)
        #expect(String(decoding: kernel.image, as: UTF8.self).contains("--gpu-architecture=compute_100 "))
    }

    @Test(arguments: ["", "sm_", "sm_9", "sm_90b", "90", "sm_9000", "sm_-90", "sm_90a ", "compute_90", "sm_９０"])
    func otherNamesAreRefused(_ name: String) {
        let error = #expect(throws: PowerAttentionError.self) {
            try PretendingCompiler().kernelCompiler().compile([PretendingCompiler.kernel()], architecture: name)
        }
        #expect(error?.code == .invalidArgument && error?.expected.hasPrefix("one of sm_80, sm_90, sm_100") == true)
    }

    @Test func aCardThatIsOlderThanTheCompilerIsRefused() {
        let error = #expect(throws: PowerAttentionError.self) {
            try PretendingCompiler().kernelCompiler().compile([PretendingCompiler.kernel()], architecture: "sm_70")
        }
        #expect(error?.code == .unsupported && error?.expected.hasPrefix("sm_80 or newer") == true)
    }

    @Test func unknownFilesAreNamed() {
        let error = #expect(throws: PowerAttentionError.self) {
            try PretendingCompiler().kernelCompiler().compile([KernelSource("x.cu", "x", macros: [])], architecture: "sm_80")
        }
        #expect(error?.description == "kernel: x.cu given, expected one of f.cu, f.cuh, g.cuh")
    }

    @Test func optionsAreThoseOfTheKernel() throws {
        let kernel = KernelSource("f.cu", "f", macros: [("WIDTH", 64), ("GATED", -1)])
        let image = try PretendingCompiler().kernelCompiler().compile([kernel], architecture: "sm_90a")[0].image
        #expect(
            String(decoding: image, as: UTF8.self).hasSuffix(
                "\n--gpu-architecture=sm_90a -std=c++17 -default-device --ptxas-options=-v -DWIDTH=64 -DGATED=-1"))
    }

    @Test func headersAreFoundThroughHeaders() {
        let files = KernelFiles([
            "a.cu": "  #  include \"b.cuh\"\r\n#include <c.cuh>\n// #include \"d.cuh\"",
            "b.cuh": "#include \"e.cuh\"\n#include \"a.cu\"",
            "c.cuh": "", "d.cuh": "", "e.cuh": "#include \"b.cuh\"\n#include \"missing.cuh\"\n#include \"",
        ])
        #expect(files.headers(of: "a.cu") == ["b.cuh", "e.cuh"])
    }

    @Test func theAssemblersReportIsRead() throws {
        let log = """
            ptxas info    : 0 bytes gmem
            ptxas info    : Compiling entry function 'other' for 'sm_90a'
            ptxas info    : Function properties for other
                1 bytes stack frame, 1 bytes spill stores, 1 bytes spill loads
            ptxas info    : Used 1 registers, used 1 barriers, 1 bytes smem
            ptxas info    : Compiling entry function 'f' for 'sm_90a'
            ptxas info    : Function properties for f
                16 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
            ptxas info    : Used 168 registers, used 1 barriers, 16 bytes cumulative stack size, 4096 bytes smem
            """
        let report = try #require(KernelReport(log: log, function: "f"))
        #expect(report.registers == 168 && report.stackBytes == 16 && report.sharedBytes == 4096)
        #expect(report.spillStores == 8 && report.spillLoads == 4 && report.hasSpills)
        #expect(report.description == "168 registers, spills 8 bytes out, 4 in, 16 bytes stack, 4096 bytes shared")
        #expect(KernelReport(log: log, function: "g") == nil && KernelReport(log: "", function: "f") == nil)
    }
}
