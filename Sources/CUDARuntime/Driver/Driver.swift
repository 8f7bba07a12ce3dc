/// The functions of the CUDA driver that this package calls, as a table: tests put a recording one in its place.
///
/// Names are the driver's without `cu`. Handles and addresses are integers, as nobody here reads through them; results are 0 or
/// a number that `getErrorName` and `getErrorString` explain.
package struct Driver: Sendable {
    package typealias Result = CInt
    /// A context, stream, event, module, function or graph of the driver.
    package typealias Handle = UInt
    package typealias Out<Value> = UnsafeMutablePointer<Value>
    package typealias Text = UnsafePointer<CChar>

    package var initialize: @Sendable (CUnsignedInt) -> Result
    package var driverGetVersion: @Sendable (Out<CInt>) -> Result
    package var getErrorName: @Sendable (Result, Out<Text?>) -> Result
    package var getErrorString: @Sendable (Result, Out<Text?>) -> Result

    package var deviceGetCount: @Sendable (Out<CInt>) -> Result
    package var deviceGet: @Sendable (Out<CInt>, CInt) -> Result
    package var deviceGetName: @Sendable (Out<CChar>, CInt, CInt) -> Result
    package var deviceGetAttribute: @Sendable (Out<CInt>, CInt, CInt) -> Result
    package var deviceTotalMem: @Sendable (Out<Int>, CInt) -> Result
    package var devicePrimaryCtxRetain: @Sendable (Out<Handle>, CInt) -> Result
    package var devicePrimaryCtxRelease: @Sendable (CInt) -> Result
    package var ctxSetCurrent: @Sendable (Handle) -> Result

    package var memGetInfo: @Sendable (Out<Int>, Out<Int>) -> Result
    package var memAlloc: @Sendable (Out<UInt64>, Int) -> Result
    package var memFree: @Sendable (UInt64) -> Result
    package var memcpyHtoDAsync: @Sendable (UInt64, UnsafeRawPointer?, Int, Handle) -> Result
    package var memcpyDtoHAsync: @Sendable (UnsafeMutableRawPointer?, UInt64, Int, Handle) -> Result
    package var memcpyDtoDAsync: @Sendable (UInt64, UInt64, Int, Handle) -> Result
    package var memsetD8Async: @Sendable (UInt64, CUnsignedChar, Int, Handle) -> Result

    package var streamCreate: @Sendable (Out<Handle>, CUnsignedInt) -> Result
    package var streamDestroy: @Sendable (Handle) -> Result
    package var streamSynchronize: @Sendable (Handle) -> Result
    package var streamBeginCapture: @Sendable (Handle, CInt) -> Result
    package var streamEndCapture: @Sendable (Handle, Out<Handle>) -> Result
    package var graphInstantiate: @Sendable (Out<Handle>, Handle, UInt64) -> Result
    package var graphLaunch: @Sendable (Handle, Handle) -> Result
    package var graphExecDestroy: @Sendable (Handle) -> Result
    package var graphDestroy: @Sendable (Handle) -> Result

    package var eventCreate: @Sendable (Out<Handle>, CUnsignedInt) -> Result
    package var eventRecord: @Sendable (Handle, Handle) -> Result
    package var eventSynchronize: @Sendable (Handle) -> Result
    package var eventElapsedTime: @Sendable (Out<Float>, Handle, Handle) -> Result
    package var eventDestroy: @Sendable (Handle) -> Result

    package var moduleLoadData: @Sendable (Out<Handle>, UnsafeRawPointer?) -> Result
    package var moduleUnload: @Sendable (Handle) -> Result
    package var moduleGetFunction: @Sendable (Out<Handle>, Handle, Text) -> Result
    package var funcGetAttribute: @Sendable (Out<CInt>, CInt, Handle) -> Result
    package var funcSetAttribute: @Sendable (Handle, CInt, CInt) -> Result
    package var launchKernel: @Sendable (Handle, Extent, Extent, CUnsignedInt, Handle, Out<UnsafeMutableRawPointer?>) -> Result

    /// The extents of a grid or of a block.
    package struct Extent: Sendable, Hashable {
        package let x, y, z: CUnsignedInt

        package init(_ x: Int, _ y: Int = 1, _ z: Int = 1) {
            self.x = CUnsignedInt(x)
            self.y = CUnsignedInt(y)
            self.z = CUnsignedInt(z)
        }
    }
}
