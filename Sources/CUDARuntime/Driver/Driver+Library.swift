package import Tensors

extension Driver {
    private typealias Pointer<T> = UnsafeMutablePointer<T>
    private typealias HandleCall = @convention(c) (Handle) -> Status
    private typealias HandleMaker = @convention(c) (Pointer<Handle>) -> Status
    private typealias ErrorCall = @convention(c) (Status, Pointer<UnsafePointer<CChar>?>) -> Status

    /// The functions of `libcuda`.
    ///
    /// - Throws: `PowerAttentionError` where the library lacks one of them.
    package init(_ library: DynamicLibrary) throws(PowerAttentionError) {
        let initialize: @convention(c) (UInt32) -> Status = try library.function("cuInit")
        let version: @convention(c) (Pointer<Int32>) -> Status = try library.function("cuDriverGetVersion")
        let deviceCount: @convention(c) (Pointer<Int32>) -> Status = try library.function("cuDeviceGetCount")
        let device: @convention(c) (Pointer<Int32>, Int32) -> Status = try library.function("cuDeviceGet")
        let deviceName: @convention(c) (Pointer<CChar>?, Int32, Int32) -> Status = try library.function("cuDeviceGetName")
        let deviceAttribute: @convention(c) (Pointer<Int32>, Int32, Int32) -> Status =
            try library.function("cuDeviceGetAttribute")
        let deviceMemory: @convention(c) (Pointer<Int>, Int32) -> Status = try library.function("cuDeviceTotalMem_v2")
        let retain: @convention(c) (Pointer<Handle>, Int32) -> Status = try library.function("cuDevicePrimaryCtxRetain")
        let release: @convention(c) (Int32) -> Status = try library.function("cuDevicePrimaryCtxRelease_v2")
        let setCurrent: HandleCall = try library.function("cuCtxSetCurrent")
        let createStream: @convention(c) (Pointer<Handle>, UInt32) -> Status = try library.function("cuStreamCreate")
        let synchronizeStream: HandleCall = try library.function("cuStreamSynchronize")
        let destroyStream: HandleCall = try library.function("cuStreamDestroy_v2")
        let createEvent: @convention(c) (Pointer<Handle>, UInt32) -> Status = try library.function("cuEventCreate")
        let recordEvent: @convention(c) (Handle, Handle) -> Status = try library.function("cuEventRecord")
        let synchronizeEvent: HandleCall = try library.function("cuEventSynchronize")
        let elapsed: @convention(c) (Pointer<Float>, Handle, Handle) -> Status = try library.function("cuEventElapsedTime")
        let destroyEvent: HandleCall = try library.function("cuEventDestroy_v2")
        let allocate: @convention(c) (Pointer<UInt64>, Int) -> Status = try library.function("cuMemAlloc_v2")
        let free: @convention(c) (UInt64) -> Status = try library.function("cuMemFree_v2")
        let memoryInfo: @convention(c) (Pointer<Int>, Pointer<Int>) -> Status = try library.function("cuMemGetInfo_v2")
        let copyToDevice: @convention(c) (UInt64, UnsafeRawPointer, Int, Handle) -> Status =
            try library.function("cuMemcpyHtoDAsync_v2")
        let copyToHost: @convention(c) (UnsafeMutableRawPointer, UInt64, Int, Handle) -> Status =
            try library.function("cuMemcpyDtoHAsync_v2")
        let copy: @convention(c) (UInt64, UInt64, Int, Handle) -> Status = try library.function("cuMemcpyDtoDAsync_v2")
        let fill: @convention(c) (UInt64, UInt8, Int, Handle) -> Status = try library.function("cuMemsetD8Async")
        let loadModule: @convention(c) (Pointer<Handle>, UnsafeRawPointer) -> Status = try library.function("cuModuleLoadData")
        let unloadModule: HandleCall = try library.function("cuModuleUnload")
        let function: @convention(c) (Pointer<Handle>, Handle, UnsafePointer<CChar>) -> Status =
            try library.function("cuModuleGetFunction")
        let setAttribute: @convention(c) (Handle, Int32, Int32) -> Status = try library.function("cuFuncSetAttribute")
        let launch:
            @convention(c) (
                Handle, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, Handle,
                Pointer<UnsafeMutableRawPointer?>, Pointer<UnsafeMutableRawPointer?>?
            ) -> Status = try library.function("cuLaunchKernel")
        let beginCapture: @convention(c) (Handle, Int32) -> Status = try library.function("cuStreamBeginCapture_v2")
        let endCapture: @convention(c) (Handle, Pointer<Handle>) -> Status = try library.function("cuStreamEndCapture")
        let instantiate: @convention(c) (Pointer<Handle>, Handle, UInt64) -> Status =
            try library.function("cuGraphInstantiateWithFlags")
        let launchGraph: @convention(c) (Handle, Handle) -> Status = try library.function("cuGraphLaunch")
        let destroyGraph: HandleCall = try library.function("cuGraphDestroy")
        let destroyExecutable: HandleCall = try library.function("cuGraphExecDestroy")
        let errorName: ErrorCall = try library.function("cuGetErrorName")
        let errorText: ErrorCall = try library.function("cuGetErrorString")

        self.init(
            initialize: { initialize(0) }, version: { version(&$0) }, deviceCount: { deviceCount(&$0) },
            device: { device(&$0, $1) }, deviceName: { deviceName($1.baseAddress, Int32($1.count), $0) },
            deviceAttribute: { deviceAttribute(&$0, $1, $2) }, deviceMemory: { deviceMemory(&$0, $1) },
            retainContext: { retain(&$0, $1) }, releaseContext: { release($0) }, setCurrentContext: { setCurrent($0) },
            createStream: { createStream(&$0, 1) }, synchronizeStream: { synchronizeStream($0) },
            destroyStream: { destroyStream($0) }, createEvent: { createEvent(&$0, 0) },
            recordEvent: { recordEvent($0, $1) }, synchronizeEvent: { synchronizeEvent($0) },
            elapsedTime: { elapsed(&$0, $1, $2) }, destroyEvent: { destroyEvent($0) }, allocate: { allocate(&$0, $1) },
            free: { free($0) }, memoryInfo: { memoryInfo(&$0, &$1) }, copyToDevice: { copyToDevice($0, $1, $2, $3) },
            copyToHost: { copyToHost($0, $1, $2, $3) }, copy: { copy($0, $1, $2, $3) }, fill: { fill($0, $1, $2, $3) },
            loadModule: { loadModule(&$0, $1) }, unloadModule: { unloadModule($0) }, function: { function(&$0, $1, $2) },
            setFunctionAttribute: { setAttribute($0, $1, $2) },
            launch: {
                launch(
                    $0.function, UInt32($0.grid.x), UInt32($0.grid.y), UInt32($0.grid.z), UInt32($0.threads), 1, 1,
                    UInt32($0.sharedBytes), $0.stream, $0.arguments, nil)
            },
            beginCapture: { beginCapture($0, DriverConstant.relaxedCapture) }, endCapture: { endCapture($0, &$1) },
            instantiateGraph: { instantiate(&$0, $1, 0) }, launchGraph: { launchGraph($0, $1) },
            destroyGraph: { destroyGraph($0) }, destroyExecutable: { destroyExecutable($0) },
            errorName: { Self.text($0, errorName) }, errorText: { Self.text($0, errorText) })
    }

    private static func text(_ status: Status, _ call: ErrorCall) -> String? {
        var text: UnsafePointer<CChar>?
        guard call(status, &text) == 0, let text else { return nil }
        return String(cString: text)
    }

    /// The driver of this machine, opened and initialized at first use.
    package static func system() throws(PowerAttentionError) -> Driver { try installed.get().driver }

    /// The driver and the library that it came from, or why there is none.
    static let installed: Result<(driver: Driver, library: DynamicLibrary), PowerAttentionError> = Result {
        () throws(PowerAttentionError) in
        let library = try LibrarySearch().open(
            ["libcuda.so.1"], purpose: "the driver of an NVIDIA card", installation: "install NVIDIA's driver, 525 or newer")
        let driver = try Driver(library)
        try driver.check(driver.initialize(), "cuInit")
        return (driver, library)
    }
}
