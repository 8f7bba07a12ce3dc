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
    package typealias LaunchKernel =
        @Sendable (Handle, Extent, Extent, CUnsignedInt, Handle, Out<UnsafeMutableRawPointer?>, Bool) -> Result

    package typealias EncodeTensorMap =
        @convention(c) @Sendable (
            Out<UInt64>, CInt, CUnsignedInt, UInt64, UnsafePointer<UInt64>, UnsafePointer<UInt64>, UnsafePointer<CUnsignedInt>,
            UnsafePointer<CUnsignedInt>, CInt, CInt, CInt, CInt
        ) -> Result

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
    package var memHostAlloc: @Sendable (Out<UnsafeMutableRawPointer?>, Int, CUnsignedInt) -> Result
    package var memFreeHost: @Sendable (UnsafeMutableRawPointer?) -> Result
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
    /// The offset and the size of a parameter. Absent before CUDA 12.4.
    package var funcGetParamInfo: (@Sendable (Handle, Int, Out<Int>, Out<Int>) -> Result)?
    /// The last argument says whether blocks may start while the kernel before is under way.
    package var launchKernel: LaunchKernel
    /// Words of the map, type, rank, address, extents, strides, box, steps, interleaving, swizzle, promotion, filling. Absent before CUDA 12.
    package var tensorMapEncodeTiled: EncodeTensorMap?

    /// A table of one's own: every function has to be there.
    package init(
        initialize: @escaping @Sendable (CUnsignedInt) -> Result,
        driverGetVersion: @escaping @Sendable (Out<CInt>) -> Result,
        getErrorName: @escaping @Sendable (Result, Out<Text?>) -> Result,
        getErrorString: @escaping @Sendable (Result, Out<Text?>) -> Result,
        deviceGetCount: @escaping @Sendable (Out<CInt>) -> Result,
        deviceGet: @escaping @Sendable (Out<CInt>, CInt) -> Result,
        deviceGetName: @escaping @Sendable (Out<CChar>, CInt, CInt) -> Result,
        deviceGetAttribute: @escaping @Sendable (Out<CInt>, CInt, CInt) -> Result,
        deviceTotalMem: @escaping @Sendable (Out<Int>, CInt) -> Result,
        devicePrimaryCtxRetain: @escaping @Sendable (Out<Handle>, CInt) -> Result,
        devicePrimaryCtxRelease: @escaping @Sendable (CInt) -> Result,
        ctxSetCurrent: @escaping @Sendable (Handle) -> Result,
        memGetInfo: @escaping @Sendable (Out<Int>, Out<Int>) -> Result,
        memAlloc: @escaping @Sendable (Out<UInt64>, Int) -> Result,
        memFree: @escaping @Sendable (UInt64) -> Result,
        memHostAlloc: @escaping @Sendable (Out<UnsafeMutableRawPointer?>, Int, CUnsignedInt) -> Result,
        memFreeHost: @escaping @Sendable (UnsafeMutableRawPointer?) -> Result,
        memcpyHtoDAsync: @escaping @Sendable (UInt64, UnsafeRawPointer?, Int, Handle) -> Result,
        memcpyDtoHAsync: @escaping @Sendable (UnsafeMutableRawPointer?, UInt64, Int, Handle) -> Result,
        memcpyDtoDAsync: @escaping @Sendable (UInt64, UInt64, Int, Handle) -> Result,
        memsetD8Async: @escaping @Sendable (UInt64, CUnsignedChar, Int, Handle) -> Result,
        streamCreate: @escaping @Sendable (Out<Handle>, CUnsignedInt) -> Result,
        streamDestroy: @escaping @Sendable (Handle) -> Result,
        streamSynchronize: @escaping @Sendable (Handle) -> Result,
        streamBeginCapture: @escaping @Sendable (Handle, CInt) -> Result,
        streamEndCapture: @escaping @Sendable (Handle, Out<Handle>) -> Result,
        graphInstantiate: @escaping @Sendable (Out<Handle>, Handle, UInt64) -> Result,
        graphLaunch: @escaping @Sendable (Handle, Handle) -> Result,
        graphExecDestroy: @escaping @Sendable (Handle) -> Result,
        graphDestroy: @escaping @Sendable (Handle) -> Result,
        eventCreate: @escaping @Sendable (Out<Handle>, CUnsignedInt) -> Result,
        eventRecord: @escaping @Sendable (Handle, Handle) -> Result,
        eventSynchronize: @escaping @Sendable (Handle) -> Result,
        eventElapsedTime: @escaping @Sendable (Out<Float>, Handle, Handle) -> Result,
        eventDestroy: @escaping @Sendable (Handle) -> Result,
        moduleLoadData: @escaping @Sendable (Out<Handle>, UnsafeRawPointer?) -> Result,
        moduleUnload: @escaping @Sendable (Handle) -> Result,
        moduleGetFunction: @escaping @Sendable (Out<Handle>, Handle, Text) -> Result,
        funcGetAttribute: @escaping @Sendable (Out<CInt>, CInt, Handle) -> Result,
        funcSetAttribute: @escaping @Sendable (Handle, CInt, CInt) -> Result,
        funcGetParamInfo: (@Sendable (Handle, Int, Out<Int>, Out<Int>) -> Result)?,
        launchKernel: @escaping LaunchKernel
    ) {
        self.initialize = initialize
        self.driverGetVersion = driverGetVersion
        self.getErrorName = getErrorName
        self.getErrorString = getErrorString
        self.deviceGetCount = deviceGetCount
        self.deviceGet = deviceGet
        self.deviceGetName = deviceGetName
        self.deviceGetAttribute = deviceGetAttribute
        self.deviceTotalMem = deviceTotalMem
        self.devicePrimaryCtxRetain = devicePrimaryCtxRetain
        self.devicePrimaryCtxRelease = devicePrimaryCtxRelease
        self.ctxSetCurrent = ctxSetCurrent
        self.memGetInfo = memGetInfo
        self.memAlloc = memAlloc
        self.memFree = memFree
        self.memHostAlloc = memHostAlloc
        self.memFreeHost = memFreeHost
        self.memcpyHtoDAsync = memcpyHtoDAsync
        self.memcpyDtoHAsync = memcpyDtoHAsync
        self.memcpyDtoDAsync = memcpyDtoDAsync
        self.memsetD8Async = memsetD8Async
        self.streamCreate = streamCreate
        self.streamDestroy = streamDestroy
        self.streamSynchronize = streamSynchronize
        self.streamBeginCapture = streamBeginCapture
        self.streamEndCapture = streamEndCapture
        self.graphInstantiate = graphInstantiate
        self.graphLaunch = graphLaunch
        self.graphExecDestroy = graphExecDestroy
        self.graphDestroy = graphDestroy
        self.eventCreate = eventCreate
        self.eventRecord = eventRecord
        self.eventSynchronize = eventSynchronize
        self.eventElapsedTime = eventElapsedTime
        self.eventDestroy = eventDestroy
        self.moduleLoadData = moduleLoadData
        self.moduleUnload = moduleUnload
        self.moduleGetFunction = moduleGetFunction
        self.funcGetAttribute = funcGetAttribute
        self.funcSetAttribute = funcSetAttribute
        self.funcGetParamInfo = funcGetParamInfo
        self.launchKernel = launchKernel
    }

    /// The extents of a grid or of a block.
    package struct Extent: Sendable, Hashable {
        package let x, y, z: CUnsignedInt

        init(_ x: Int, _ y: Int = 1, _ z: Int = 1) {
            self.x = CUnsignedInt(x)
            self.y = CUnsignedInt(y)
            self.z = CUnsignedInt(z)
        }
    }
}
