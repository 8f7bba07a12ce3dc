import Tensors

/// A program of the compiler, from its source to its code.
struct CompilerProgram: ~Copyable {
    private let compiler: NVRTC
    private let name: String
    private var program: NVRTC.Program = 0

    /// - Parameter headers: what `#include` finds, by the names that it spells.
    init(
        _ compiler: NVRTC, name: String, text: String, headers: [(name: String, text: String)]
    ) throws(PowerAttentionError) {
        self.compiler = compiler
        self.name = name
        var program: NVRTC.Program = 0
        let result = Self.withTexts(headers.map(\.text)) { texts in
            Self.withTexts(headers.map(\.name)) { names in
                compiler.createProgram(&program, text, name, CInt(headers.count), texts, names)
            }
        }
        self.program = program
        try compiler.check(result, "nvrtcCreateProgram", name)
    }

    deinit {
        var program = program
        if program != 0 { _ = compiler.destroyProgram(&program) }
    }

    /// - Throws: `device` with the first errors of the compiler.
    func compile(options: [String], blaming subject: String) throws(PowerAttentionError) {
        let result = Self.withTexts(options) { compiler.compileProgram(program, CInt(options.count), $0) }
        try compiler.check(result, "nvrtcCompileProgram", subject, log: Self.summary(of: (try? log()) ?? ""))
    }

    /// The errors of a log, or its first lines, on one line.
    private static func summary(of log: String) -> String {
        let lines = log.split(whereSeparator: \.isNewline).map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }
        let errors = lines.filter { $0.contains("error") }
        return (errors.isEmpty ? lines : errors).prefix(4).joined(separator: "; ")
    }

    func log() throws(PowerAttentionError) -> String {
        let bytes = try bytes(compiler.getProgramLogSize, compiler.getProgramLog, "nvrtcGetProgramLog")
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The machine code, or text in PTX with a zero behind it.
    func image(isPTX: Bool) throws(PowerAttentionError) -> [UInt8] {
        isPTX
            ? try bytes(compiler.getPTXSize, compiler.getPTX, "nvrtcGetPTX")
            : try bytes(compiler.getCUBINSize, compiler.getCUBIN, "nvrtcGetCUBIN")
    }

    private func bytes(
        _ size: (NVRTC.Program, NVRTC.Out<Int>) -> NVRTC.Result, _ get: (NVRTC.Program, NVRTC.Out<CChar>) -> NVRTC.Result,
        _ call: String
    ) throws(PowerAttentionError) -> [UInt8] {
        var count = 0
        try compiler.check(size(program, &count), call + "Size", name)
        guard count > 0 else { return [] }
        var bytes = [CChar](repeating: 0, count: count)
        try compiler.check(get(program, &bytes), call, name)
        return bytes.map(UInt8.init(bitPattern:))
    }

    /// Calls `body` with the texts as C strings.
    private static func withTexts<R>(_ texts: [String], _ body: (UnsafeMutablePointer<UnsafePointer<CChar>?>) -> R) -> R {
        let joined = texts.map { Array($0.utf8CString) }
        var starts: [Int] = []
        var all: [CChar] = []
        for text in joined {
            starts.append(all.count)
            all += text
        }
        return all.withUnsafeBufferPointer { all in
            var pointers = starts.map { start in all.baseAddress.map { $0 + start } } + [nil]
            return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
        }
    }
}
