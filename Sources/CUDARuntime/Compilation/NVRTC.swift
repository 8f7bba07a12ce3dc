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
}
