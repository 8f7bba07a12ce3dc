import Foundation
import Tensors

/// NVIDIA's run-time compiler of CUDA C++.
struct NVRTC: Sendable {
    private typealias Program = UInt
    private typealias Text = UnsafePointer<CChar>?
    private typealias SizeCall = @convention(c) (Program, UnsafeMutablePointer<Int>) -> Int32
    private typealias BytesCall = @convention(c) (Program, UnsafeMutablePointer<CChar>) -> Int32

    let library: DynamicLibrary
    let version: Version
    /// The architectures that it compiles for, `[75, 80, 90]`; empty where it does not say.
    let architectures: [Int]

    struct Version: Sendable, Hashable, CustomStringConvertible {
        let major, minor: Int
        var description: String { "\(major).\(minor)" }
    }

    private let create:
        @convention(c) (UnsafeMutablePointer<Program>, Text, Text, Int32, UnsafePointer<Text>?, UnsafePointer<Text>?) -> Int32
    private let compile: @convention(c) (Program, Int32, UnsafePointer<Text>) -> Int32
    private let destroy: @convention(c) (UnsafeMutablePointer<Program>) -> Int32
    private let logSize, cubinSize: SizeCall
    private let log, cubin: BytesCall
    private let errorText: @convention(c) (Int32) -> Text

    /// The compiler of this machine, opened at first use.
    static func system() throws(PowerAttentionError) -> NVRTC { try installed.get() }

    static let installed: Result<NVRTC, PowerAttentionError> = Result { () throws(PowerAttentionError) in
        try NVRTC(
            LibrarySearch().open(
                ["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"], purpose: "CUDA's run-time compiler",
                installation: "pip install nvidia-cuda-nvrtc, or the CUDA toolkit"))
    }

    private init(_ library: DynamicLibrary) throws(PowerAttentionError) {
        self.library = library
        create = try library.function("nvrtcCreateProgram")
        compile = try library.function("nvrtcCompileProgram")
        destroy = try library.function("nvrtcDestroyProgram")
        logSize = try library.function("nvrtcGetProgramLogSize")
        log = try library.function("nvrtcGetProgramLog")
        cubinSize = try library.function("nvrtcGetCUBINSize")
        cubin = try library.function("nvrtcGetCUBIN")
        errorText = try library.function("nvrtcGetErrorString")
        let versionCall: @convention(c) (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Int32>) -> Int32 =
            try library.function("nvrtcVersion")
        var (major, minor): (Int32, Int32) = (0, 0)
        _ = versionCall(&major, &minor)
        version = Version(major: Int(major), minor: Int(minor))
        var architectures: [Int] = []
        if let count: @convention(c) (UnsafeMutablePointer<Int32>) -> Int32 = try? library.function(
            "nvrtcGetNumSupportedArchs"),
            let list: @convention(c) (UnsafeMutablePointer<Int32>) -> Int32 = try? library.function("nvrtcGetSupportedArchs")
        {
            var number: Int32 = 0
            if count(&number) == 0, number > 0 {
                var numbers = [Int32](repeating: 0, count: Int(number))
                if numbers.withUnsafeMutableBufferPointer({ $0.baseAddress.map { list($0) } }) == 0 {
                    architectures = numbers.map(Int.init)
                }
            }
        }
        self.architectures = architectures
        Self.openBuiltins(beside: library.path)
    }

    /// The compiler loads a library of its own by name, which lies beside it but not always where the loader looks.
    private static func openBuiltins(beside path: String) {
        guard path.contains("/") else { return }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        for name in names where name.hasPrefix("libnvrtc-builtins.so") { _ = DynamicLibrary("\(folder)/\(name)") }
    }

    /// The machine code of a source with its headers, and the compiler's log.
    ///
    /// - Throws: `PowerAttentionError` with the log where the compiler refuses it.
    func compile(
        _ source: String, name: String, headers: [(path: String, text: String)], options: [String]
    ) throws(PowerAttentionError) -> (cubin: [UInt8], log: String) {
        var program: Program = 0
        let status = withTexts(headers.map(\.text)) { texts in
            withTexts(headers.map(\.path)) { paths in create(&program, source, name, Int32(headers.count), texts, paths) }
        }
        try check(status, name, "")
        defer { _ = destroy(&program) }
        let result = withTexts(options) { compile(program, Int32(options.count), $0) }
        let text = try text(program, name)
        try check(result, name, text)
        var size = 0
        try check(cubinSize(program, &size), name, "")
        var bytes = [CChar](repeating: 0, count: size)
        let copied = bytes.withUnsafeMutableBufferPointer { $0.baseAddress.map { cubin(program, $0) } ?? 1 }
        try check(copied, name, "")
        return (bytes.map(UInt8.init(bitPattern:)), text)
    }

    private func text(_ program: Program, _ name: String) throws(PowerAttentionError) -> String {
        var size = 0
        try check(logSize(program, &size), name, "")
        guard size > 0 else { return "" }
        var bytes = [CChar](repeating: 0, count: size)
        let status = bytes.withUnsafeMutableBufferPointer { $0.baseAddress.map { log(program, $0) } ?? 1 }
        try check(status, name, "")
        return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private func check(_ status: Int32, _ name: String, _ log: String) throws(PowerAttentionError) {
        guard status != 0 else { return }
        let text = errorText(status).map { String(cString: $0) } ?? "error \(status)"
        throw PowerAttentionError(
            .device, argument: "NVRTC \(version)", given: "\(name): \(text)" + (log.isEmpty ? "" : ": \(log)"),
            expected: "a kernel that compiles")
    }

    /// Calls `body` with C strings that live as long as the call.
    private func withTexts<Result>(_ texts: [String], _ body: (UnsafePointer<Text>) -> Result) -> Result {
        let copies = texts.map { Array($0.utf8CString) }
        let starts = copies.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
        return copies.flatMap { $0 }.withUnsafeBufferPointer { bytes in
            let pointers: [Text] = starts.dropLast().map { start in bytes.baseAddress.map { $0 + start } } + [nil]
            return pointers.withUnsafeBufferPointer { pointers in
                guard let base = pointers.baseAddress else { preconditionFailure("one more than the texts") }
                return body(base)
            }
        }
    }
}
