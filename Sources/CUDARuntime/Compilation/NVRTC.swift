/// The functions of NVIDIA's run-time compiler that this package calls, as a table that tests can replace.
///
/// Names are the library's without `nvrtc`; results are 0 or a number that `getErrorString` explains.
package struct NVRTC: Sendable {
    package typealias Result = CInt
    package typealias Program = UInt
    package typealias Out<Value> = UnsafeMutablePointer<Value>
    package typealias Text = UnsafePointer<CChar>

    package var getErrorString: @Sendable (Result) -> Text?
    package var version: @Sendable (Out<CInt>, Out<CInt>) -> Result
    package var getNumSupportedArchs: @Sendable (Out<CInt>) -> Result
    package var getSupportedArchs: @Sendable (Out<CInt>) -> Result
    package var createProgram: @Sendable (Out<Program>, Text, Text, CInt, Out<Text?>?, Out<Text?>?) -> Result
    package var compileProgram: @Sendable (Program, CInt, Out<Text?>) -> Result
    package var getCUBINSize: @Sendable (Program, Out<Int>) -> Result
    package var getCUBIN: @Sendable (Program, Out<CChar>) -> Result
    package var getPTXSize: @Sendable (Program, Out<Int>) -> Result
    package var getPTX: @Sendable (Program, Out<CChar>) -> Result
    package var getProgramLogSize: @Sendable (Program, Out<Int>) -> Result
    package var getProgramLog: @Sendable (Program, Out<CChar>) -> Result
    package var destroyProgram: @Sendable (Out<Program>) -> Result
    /// Tells builds of the library apart that call themselves by the same version: a part of the key of cached kernels.
    package var build: String

    /// A table of one's own: every function has to be there.
    package init(
        getErrorString: @escaping @Sendable (Result) -> Text?,
        version: @escaping @Sendable (Out<CInt>, Out<CInt>) -> Result,
        getNumSupportedArchs: @escaping @Sendable (Out<CInt>) -> Result,
        getSupportedArchs: @escaping @Sendable (Out<CInt>) -> Result,
        createProgram: @escaping @Sendable (Out<Program>, Text, Text, CInt, Out<Text?>?, Out<Text?>?) -> Result,
        compileProgram: @escaping @Sendable (Program, CInt, Out<Text?>) -> Result,
        getCUBINSize: @escaping @Sendable (Program, Out<Int>) -> Result,
        getCUBIN: @escaping @Sendable (Program, Out<CChar>) -> Result,
        getPTXSize: @escaping @Sendable (Program, Out<Int>) -> Result,
        getPTX: @escaping @Sendable (Program, Out<CChar>) -> Result,
        getProgramLogSize: @escaping @Sendable (Program, Out<Int>) -> Result,
        getProgramLog: @escaping @Sendable (Program, Out<CChar>) -> Result,
        destroyProgram: @escaping @Sendable (Out<Program>) -> Result,
        build: String
    ) {
        self.getErrorString = getErrorString
        self.version = version
        self.getNumSupportedArchs = getNumSupportedArchs
        self.getSupportedArchs = getSupportedArchs
        self.createProgram = createProgram
        self.compileProgram = compileProgram
        self.getCUBINSize = getCUBINSize
        self.getCUBIN = getCUBIN
        self.getPTXSize = getPTXSize
        self.getPTX = getPTX
        self.getProgramLogSize = getProgramLogSize
        self.getProgramLog = getProgramLog
        self.destroyProgram = destroyProgram
        self.build = build
    }
}
