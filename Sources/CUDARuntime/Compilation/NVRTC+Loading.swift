import Foundation
import Synchronization
package import Tensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension NVRTC {
    /// The compiler of this machine, opened on the first call. Where a driver is found, its version of CUDA is looked for first.
    ///
    /// - Throws: `unsupported` where there is none; it is looked for again on the next call.
    package static func system() throws(PowerAttentionError) -> NVRTC { try loaded().compiler }

    /// The compiler of this machine with the file that it came from.
    static func loaded() throws(PowerAttentionError) -> (compiler: NVRTC, library: SharedLibrary) {
        try cached.withLock { cached throws(PowerAttentionError) in
            if let cached { return cached }
            let library = try LibrarySearch().open(.compiler(preferring: Driver.installedMajorVersion))
            let compiler = try NVRTC(library)
            openBuiltins(beside: library.path)
            cached = (compiler, library)
            return (compiler, library)
        }
    }

    private static let cached = Mutex<(compiler: NVRTC, library: SharedLibrary)?>(nil)

    /// The compiler opens its library of built-in functions by name alone, which fails where both lie outside of the loader's
    /// path; one of that name that is open already is found.
    private static func openBuiltins(beside path: String) {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        for name in LibrarySearch.contents(of: folder) where name.hasPrefix("libnvrtc-builtins.so") {
            _ = dlopen("\(folder)/\(name)", RTLD_NOW | RTLD_GLOBAL)
        }
    }

    /// Finds the functions in a library.
    ///
    /// - Throws: `unsupported` where one is missing.
    package init(_ library: SharedLibrary) throws(PowerAttentionError) {
        typealias OfInteger = @convention(c) @Sendable (Out<CInt>) -> Result
        typealias OfSize = @convention(c) @Sendable (Program, Out<Int>) -> Result
        typealias OfBytes = @convention(c) @Sendable (Program, Out<CChar>) -> Result
        getErrorString = try library.function("nvrtcGetErrorString", as: (@convention(c) @Sendable (Result) -> Text?).self)
        version = try library.function(
            "nvrtcVersion", as: (@convention(c) @Sendable (Out<CInt>, Out<CInt>) -> Result).self)
        getNumSupportedArchs = try library.function("nvrtcGetNumSupportedArchs", as: OfInteger.self)
        getSupportedArchs = try library.function("nvrtcGetSupportedArchs", as: OfInteger.self)
        createProgram = try library.function(
            "nvrtcCreateProgram",
            as: (@convention(c) @Sendable (Out<Program>, Text, Text, CInt, Out<Text?>?, Out<Text?>?) -> Result).self)
        compileProgram = try library.function(
            "nvrtcCompileProgram", as: (@convention(c) @Sendable (Program, CInt, Out<Text?>) -> Result).self)
        getCUBINSize = try library.function("nvrtcGetCUBINSize", as: OfSize.self)
        getCUBIN = try library.function("nvrtcGetCUBIN", as: OfBytes.self)
        getPTXSize = try library.function("nvrtcGetPTXSize", as: OfSize.self)
        getPTX = try library.function("nvrtcGetPTX", as: OfBytes.self)
        getProgramLogSize = try library.function("nvrtcGetProgramLogSize", as: OfSize.self)
        getProgramLog = try library.function("nvrtcGetProgramLog", as: OfBytes.self)
        destroyProgram = try library.function(
            "nvrtcDestroyProgram", as: (@convention(c) @Sendable (Out<Program>) -> Result).self)
        let size = (try? FileManager.default.attributesOfItem(atPath: library.path)[.size] as? Int) ?? 0
        build = "\(library.name) \(size)"
    }
}

extension NVRTC {
    /// The version, `13.0`.
    package func versionText() throws(PowerAttentionError) -> String {
        var major: CInt = 0
        var minor: CInt = 0
        try check(version(&major, &minor), "nvrtcVersion")
        return "\(major).\(minor)"
    }

    /// The compute capabilities that the compiler knows, 90 for 9.0, in ascending order.
    package func supportedCapabilities() throws(PowerAttentionError) -> [Int] {
        var count: CInt = 0
        try check(getNumSupportedArchs(&count), "nvrtcGetNumSupportedArchs")
        var numbers = [CInt](repeating: 0, count: max(0, Int(count)) + 1)
        try check(getSupportedArchs(&numbers), "nvrtcGetSupportedArchs")
        return numbers.prefix(max(0, Int(count))).map(Int.init).sorted()
    }

    func check(
        _ result: Result, _ call: String, _ subject: @autoclosure () -> String = "", log: @autoclosure () -> String = ""
    ) throws(PowerAttentionError) {
        guard result != 0 else { return }
        let subject = subject()
        let log = log()
        throw PowerAttentionError(
            .device, argument: subject.isEmpty ? call : "\(call) of \(subject)",
            given: (getErrorString(result).map { String(cString: $0) } ?? "error \(result)") + (log.isEmpty ? "" : ": \(log)"),
            expected: "success")
    }
}
