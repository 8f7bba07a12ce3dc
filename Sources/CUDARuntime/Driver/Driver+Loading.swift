import Synchronization
package import Tensors

extension Driver {
    /// The driver of this machine, opened on the first call and initialized.
    ///
    /// - Throws: `unsupported` where there is none; it is looked for again on the next call.
    package static func system() throws(PowerAttentionError) -> Driver { try loaded().driver }

    /// The driver of this machine with the file that it came from.
    static func loaded() throws(PowerAttentionError) -> (driver: Driver, library: SharedLibrary) {
        try cached.withLock { cached throws(PowerAttentionError) in
            if let cached { return cached }
            let library = try LibrarySearch().open(.driver)
            let driver = try Driver(library)
            try driver.start(library.path)
            cached = (driver, library)
            return (driver, library)
        }
    }

    /// Initializes the driver, which was found at `path`.
    ///
    /// - Throws: `unsupported` where it has no card that it can use.
    package func start(_ path: String) throws(PowerAttentionError) {
        let result = initialize(0)
        guard result != 0 else { return }
        throw PowerAttentionError(
            .unsupported, argument: "cuInit of \(path)", given: explanation(of: result),
            expected: "a card that the driver can use: nvidia-smi lists them, and containers have to be given them")
    }

    /// The newest version of CUDA that this machine's driver is made for, nil where there is no driver.
    static var installedMajorVersion: Int? { (try? system().version()).map { $0.major } }

    /// The newest version of CUDA that the driver is made for.
    package func version() throws(PowerAttentionError) -> (major: Int, minor: Int) {
        var version: CInt = 0
        try check(driverGetVersion(&version), "cuDriverGetVersion")
        return (Int(version) / 1000, Int(version) % 1000 / 10)
    }

    private static let cached = Mutex<(driver: Driver, library: SharedLibrary)?>(nil)

    /// Finds the functions in a library.
    ///
    /// - Throws: `unsupported` where one is missing.
    package init(_ library: SharedLibrary) throws(PowerAttentionError) {
        typealias OfHandle = @convention(c) @Sendable (Handle) -> Result
        typealias OfTwoHandles = @convention(c) @Sendable (Handle, Handle) -> Result
        typealias OfInteger = @convention(c) @Sendable (Out<CInt>) -> Result
        typealias OfText = @convention(c) @Sendable (Result, Out<Text?>) -> Result
        typealias OfNewHandle = @convention(c) @Sendable (Out<Handle>, CUnsignedInt) -> Result
        typealias OfAttribute = @convention(c) @Sendable (Out<CInt>, CInt, CInt) -> Result
        typealias OfElapsedTime = @convention(c) @Sendable (Out<Float>, Handle, Handle) -> Result

        initialize = try library.function("cuInit", as: (@convention(c) @Sendable (CUnsignedInt) -> Result).self)
        driverGetVersion = try library.function("cuDriverGetVersion", as: OfInteger.self)
        getErrorName = try library.function("cuGetErrorName", as: OfText.self)
        getErrorString = try library.function("cuGetErrorString", as: OfText.self)

        deviceGetCount = try library.function("cuDeviceGetCount", as: OfInteger.self)
        deviceGet = try library.function("cuDeviceGet", as: (@convention(c) @Sendable (Out<CInt>, CInt) -> Result).self)
        deviceGetName = try library.function(
            "cuDeviceGetName", as: (@convention(c) @Sendable (Out<CChar>, CInt, CInt) -> Result).self)
        deviceGetAttribute = try library.function("cuDeviceGetAttribute", as: OfAttribute.self)
        deviceTotalMem = try library.function(
            "cuDeviceTotalMem_v2", as: (@convention(c) @Sendable (Out<Int>, CInt) -> Result).self)
        devicePrimaryCtxRetain = try library.function(
            "cuDevicePrimaryCtxRetain", as: (@convention(c) @Sendable (Out<Handle>, CInt) -> Result).self)
        devicePrimaryCtxRelease = try library.function(
            "cuDevicePrimaryCtxRelease_v2", as: (@convention(c) @Sendable (CInt) -> Result).self)
        ctxSetCurrent = try library.function("cuCtxSetCurrent", as: OfHandle.self)

        memGetInfo = try library.function(
            "cuMemGetInfo_v2", as: (@convention(c) @Sendable (Out<Int>, Out<Int>) -> Result).self)
        memAlloc = try library.function("cuMemAlloc_v2", as: (@convention(c) @Sendable (Out<UInt64>, Int) -> Result).self)
        memFree = try library.function("cuMemFree_v2", as: (@convention(c) @Sendable (UInt64) -> Result).self)
        memHostAlloc = try library.function(
            "cuMemHostAlloc",
            as: (@convention(c) @Sendable (Out<UnsafeMutableRawPointer?>, Int, CUnsignedInt) -> Result).self)
        memFreeHost = try library.function(
            "cuMemFreeHost", as: (@convention(c) @Sendable (UnsafeMutableRawPointer?) -> Result).self)
        memcpyHtoDAsync = try library.function(
            "cuMemcpyHtoDAsync_v2", as: (@convention(c) @Sendable (UInt64, UnsafeRawPointer?, Int, Handle) -> Result).self)
        memcpyDtoHAsync = try library.function(
            "cuMemcpyDtoHAsync_v2",
            as: (@convention(c) @Sendable (UnsafeMutableRawPointer?, UInt64, Int, Handle) -> Result).self)
        memcpyDtoDAsync = try library.function(
            "cuMemcpyDtoDAsync_v2", as: (@convention(c) @Sendable (UInt64, UInt64, Int, Handle) -> Result).self)
        memsetD8Async = try library.function(
            "cuMemsetD8Async", as: (@convention(c) @Sendable (UInt64, CUnsignedChar, Int, Handle) -> Result).self)

        streamCreate = try library.function("cuStreamCreate", as: OfNewHandle.self)
        streamDestroy = try library.function("cuStreamDestroy_v2", as: OfHandle.self)
        streamSynchronize = try library.function("cuStreamSynchronize", as: OfHandle.self)
        streamBeginCapture = try library.function(
            "cuStreamBeginCapture_v2", as: (@convention(c) @Sendable (Handle, CInt) -> Result).self)
        streamEndCapture = try library.function(
            "cuStreamEndCapture", as: (@convention(c) @Sendable (Handle, Out<Handle>) -> Result).self)
        graphInstantiate = try library.function(
            "cuGraphInstantiateWithFlags", as: (@convention(c) @Sendable (Out<Handle>, Handle, UInt64) -> Result).self)
        graphLaunch = try library.function("cuGraphLaunch", as: OfTwoHandles.self)
        graphExecDestroy = try library.function("cuGraphExecDestroy", as: OfHandle.self)
        graphDestroy = try library.function("cuGraphDestroy", as: OfHandle.self)

        eventCreate = try library.function("cuEventCreate", as: OfNewHandle.self)
        eventRecord = try library.function("cuEventRecord", as: OfTwoHandles.self)
        eventSynchronize = try library.function("cuEventSynchronize", as: OfHandle.self)
        eventElapsedTime =
            if let newer = library.function(ifPresent: "cuEventElapsedTime_v2", as: OfElapsedTime.self) { newer } else {
                try library.function("cuEventElapsedTime", as: OfElapsedTime.self)
            }
        eventDestroy = try library.function("cuEventDestroy_v2", as: OfHandle.self)

        moduleLoadData = try library.function(
            "cuModuleLoadData", as: (@convention(c) @Sendable (Out<Handle>, UnsafeRawPointer?) -> Result).self)
        moduleUnload = try library.function("cuModuleUnload", as: OfHandle.self)
        moduleGetFunction = try library.function(
            "cuModuleGetFunction", as: (@convention(c) @Sendable (Out<Handle>, Handle, Text) -> Result).self)
        funcGetAttribute = try library.function(
            "cuFuncGetAttribute", as: (@convention(c) @Sendable (Out<CInt>, CInt, Handle) -> Result).self)
        funcSetAttribute = try library.function(
            "cuFuncSetAttribute", as: (@convention(c) @Sendable (Handle, CInt, CInt) -> Result).self)
        funcGetParamInfo = library.function(
            ifPresent: "cuFuncGetParamInfo", as: (@convention(c) @Sendable (Handle, Int, Out<Int>, Out<Int>) -> Result).self)
        typealias Launch =
            @convention(c) @Sendable (
                Handle, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt, CUnsignedInt,
                Handle,
                Out<UnsafeMutableRawPointer?>?, Out<UnsafeMutableRawPointer?>?
            ) -> Result
        let launch = try library.function("cuLaunchKernel", as: Launch.self)
        tensorMapEncodeTiled = library.function(ifPresent: "cuTensorMapEncodeTiled", as: EncodeTensorMap.self)
        let early = EarlyLaunch(library, driverGetVersion)
        launchKernel = { function, grid, block, sharedBytes, stream, arguments, startsEarly in
            if startsEarly, let early { return early(function, grid, block, sharedBytes, stream, arguments) }
            return launch(function, grid.x, grid.y, grid.z, block.x, block.y, block.z, sharedBytes, stream, arguments, nil)
        }
    }
}
