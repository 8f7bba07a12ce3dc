import CUDARuntime
import Synchronization

/// A compiler that pretends: the code of a program is its text and its options, and it counts how often it is asked.
final class PretendingCompiler: Sendable {
    private struct State {
        var compilations = 0
        var programs: [NVRTC.Program: [UInt8]] = [:]
        var next: NVRTC.Program = 1
    }

    private let state = Mutex(State())
    private let capabilities: [CInt]
    private let build: String

    init(capabilities: [CInt] = [80, 90, 100], build: String = "pretended") {
        self.capabilities = capabilities
        self.build = build
    }

    var compilations: Int { state.withLock { $0.compilations } }

    private static let log = "ptxas info    : Compiling entry function 'f' for 'sm_90a'\nptxas info    : Used 42 registers\n"

    private func image(_ program: NVRTC.Program) -> [UInt8] { state.withLock { $0.programs[program] ?? [] } }

    private func write(_ bytes: [UInt8], _ out: NVRTC.Out<CChar>) -> NVRTC.Result {
        for (index, byte) in bytes.enumerated() { out[index] = CChar(bitPattern: byte) }
        return 0
    }

    var compiler: NVRTC {
        NVRTC(
            getErrorString: { _ in nil },
            version: { major, minor in
                (major.pointee, minor.pointee) = (13, 0)
                return 0
            },
            getNumSupportedArchs: { count in
                count.pointee = CInt(self.capabilities.count)
                return 0
            },
            getSupportedArchs: { out in
                for (index, capability) in self.capabilities.enumerated() { out[index] = capability }
                return 0
            },
            createProgram: { program, text, _, _, _, _ in
                let bytes = Array(String(cString: text).utf8)
                program.pointee = self.state.withLock { state in
                    defer { state.next += 1 }
                    state.programs[state.next] = bytes
                    return state.next
                }
                return 0
            },
            compileProgram: { program, count, options in
                let texts = (0..<Int(count)).compactMap { options[$0].map { String(cString: $0) } }
                self.state.withLock { state in
                    state.compilations += 1
                    state.programs[program]? += Array("\n\(texts.joined(separator: " "))".utf8)
                }
                return 0
            },
            getCUBINSize: { program, count in
                count.pointee = self.image(program).count
                return 0
            },
            getCUBIN: { program, out in self.write(self.image(program), out) },
            getPTXSize: { program, count in
                count.pointee = self.image(program).count + 1
                return 0
            },
            getPTX: { program, out in self.write(self.image(program) + [0], out) },
            getProgramLogSize: { _, count in
                count.pointee = Self.log.utf8.count + 1
                return 0
            },
            getProgramLog: { _, out in self.write(Array(Self.log.utf8) + [0], out) },
            destroyProgram: { program in
                let handle = program.pointee
                self.state.withLock { _ = $0.programs.removeValue(forKey: handle) }
                return 0
            },
            build: build)
    }

    /// A kernel `f` and what it includes.
    static let files = KernelFiles(["f.cu": "#include \"f.cuh\"\nkernel", "f.cuh": "#include \"g.cuh\"", "g.cuh": "one"])
    static func kernel(_ value: Int = 1) -> KernelSource { KernelSource("f.cu", "f", macros: [("VALUE", value)]) }

    func kernelCompiler(_ cache: KernelCache? = nil, files: KernelFiles = PretendingCompiler.files) -> KernelCompiler {
        let compiler = compiler
        return KernelCompiler(cache: cache, files: files) { compiler }
    }
}
