/// The functions of the CUDA driver that the package calls, each returning the driver's status, zero for success.
///
/// A value: tests put recording functions in place of the driver's. Handles are addresses as the driver gives them out.
package struct Driver: Sendable {
    package typealias Status = Int32
    package typealias Handle = UInt

    /// Thirteen numbers are a launch: function, grid, block, shared bytes, stream, arguments.
    package struct Launch {
        package var function: Handle
        package var grid: (x: Int, y: Int, z: Int)
        package var threads: Int
        package var sharedBytes: Int
        package var stream: Handle
        /// The addresses of the arguments.
        package var arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    }

    package var initialize: @Sendable () -> Status
    package var version: @Sendable (inout Int32) -> Status
    package var deviceCount: @Sendable (inout Int32) -> Status
    package var device: @Sendable (_ device: inout Int32, _ ordinal: Int32) -> Status
    package var deviceName: @Sendable (_ device: Int32, _ name: UnsafeMutableBufferPointer<CChar>) -> Status
    package var deviceAttribute: @Sendable (_ value: inout Int32, _ attribute: Int32, _ device: Int32) -> Status
    package var deviceMemory: @Sendable (_ bytes: inout Int, _ device: Int32) -> Status

    package var retainContext: @Sendable (_ context: inout Handle, _ device: Int32) -> Status
    package var releaseContext: @Sendable (_ device: Int32) -> Status
    package var setCurrentContext: @Sendable (Handle) -> Status

    package var createStream: @Sendable (inout Handle) -> Status
    package var synchronizeStream: @Sendable (Handle) -> Status
    package var destroyStream: @Sendable (Handle) -> Status

    package var createEvent: @Sendable (inout Handle) -> Status
    package var recordEvent: @Sendable (_ event: Handle, _ stream: Handle) -> Status
    package var synchronizeEvent: @Sendable (Handle) -> Status
    package var elapsedTime: @Sendable (_ milliseconds: inout Float, _ start: Handle, _ end: Handle) -> Status
    package var destroyEvent: @Sendable (Handle) -> Status

    package var allocate: @Sendable (_ address: inout UInt64, _ bytes: Int) -> Status
    package var free: @Sendable (UInt64) -> Status
    package var memoryInfo: @Sendable (_ free: inout Int, _ total: inout Int) -> Status
    package var copyToDevice: @Sendable (UInt64, UnsafeRawPointer, _ bytes: Int, _ stream: Handle) -> Status
    package var copyToHost: @Sendable (UnsafeMutableRawPointer, UInt64, _ bytes: Int, _ stream: Handle) -> Status
    package var copy: @Sendable (_ to: UInt64, _ from: UInt64, _ bytes: Int, _ stream: Handle) -> Status
    package var fill: @Sendable (UInt64, UInt8, _ bytes: Int, _ stream: Handle) -> Status

    package var loadModule: @Sendable (_ module: inout Handle, _ image: UnsafeRawPointer) -> Status
    package var unloadModule: @Sendable (Handle) -> Status
    package var function: @Sendable (_ function: inout Handle, _ module: Handle, _ name: String) -> Status
    package var setFunctionAttribute: @Sendable (_ function: Handle, _ attribute: Int32, _ value: Int32) -> Status
    package var launch: @Sendable (Launch) -> Status

    package var beginCapture: @Sendable (_ stream: Handle) -> Status
    package var endCapture: @Sendable (_ stream: Handle, _ graph: inout Handle) -> Status
    package var instantiateGraph: @Sendable (_ executable: inout Handle, _ graph: Handle) -> Status
    package var launchGraph: @Sendable (_ executable: Handle, _ stream: Handle) -> Status
    package var destroyGraph: @Sendable (Handle) -> Status
    package var destroyExecutable: @Sendable (Handle) -> Status

    /// The driver's name of a status, `CUDA_ERROR_OUT_OF_MEMORY`, and its text.
    package var errorName: @Sendable (Status) -> String?
    package var errorText: @Sendable (Status) -> String?
}

/// Numbers of the driver's interface.
enum DriverConstant {
    static let outOfMemory: Int32 = 2
    static let maximumSharedBytes: Int32 = 8
    static let relaxedCapture: Int32 = 2

    /// Attributes of devices.
    static let multiprocessorCount: Int32 = 16
    static let l2Bytes: Int32 = 38
    static let computeCapabilityMajor: Int32 = 75
    static let computeCapabilityMinor: Int32 = 76
    static let sharedMemoryPerBlock: Int32 = 97
}
