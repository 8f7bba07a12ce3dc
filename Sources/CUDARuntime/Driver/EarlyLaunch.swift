/// Launches whose blocks may start while the kernel before is under way: programmatic dependent launches.
struct EarlyLaunch: Sendable {
    private typealias Launch =
        @convention(c) @Sendable (
            UnsafeRawPointer, Driver.Handle, Driver.Out<UnsafeMutableRawPointer?>?, Driver.Out<UnsafeMutableRawPointer?>?
        ) -> Driver.Result
    private let launch: Launch

    /// `nil` where the driver has none that graphs can hold: such kernels start when the one before is over.
    init?(_ library: SharedLibrary, _ driverGetVersion: @Sendable (Driver.Out<CInt>) -> Driver.Result) {
        var version: CInt = 0
        guard driverGetVersion(&version) == 0, version >= 12_040,
            let launch = library.function(ifPresent: "cuLaunchKernelEx", as: Launch.self)
        else { return nil }
        self.launch = launch
    }

    func callAsFunction(
        _ function: Driver.Handle, _ grid: Driver.Extent, _ block: Driver.Extent, _ sharedBytes: CUnsignedInt,
        _ stream: Driver.Handle, _ arguments: Driver.Out<UnsafeMutableRawPointer?>
    ) -> Driver.Result {
        // CUlaunchAttribute: which attribute, and a union of 64 bytes.
        withUnsafeTemporaryAllocation(byteCount: 72, alignment: 8) { attribute in
            attribute.initializeMemory(as: UInt8.self, repeating: 0)
            let programmaticStreamSerialization: CInt = 6
            attribute.storeBytes(of: programmaticStreamSerialization, toByteOffset: 0, as: CInt.self)
            attribute.storeBytes(of: 1, toByteOffset: 8, as: CInt.self)
            // CUlaunchConfig: extents, shared memory, the stream, and the attributes with their number.
            return withUnsafeTemporaryAllocation(byteCount: 56, alignment: 8) { configuration in
                configuration.initializeMemory(as: UInt8.self, repeating: 0)
                let numbers = [grid.x, grid.y, grid.z, block.x, block.y, block.z, sharedBytes]
                for (index, number) in numbers.enumerated() {
                    configuration.storeBytes(of: number, toByteOffset: 4 * index, as: CUnsignedInt.self)
                }
                configuration.storeBytes(of: stream, toByteOffset: 32, as: Driver.Handle.self)
                configuration.storeBytes(of: UInt(bitPattern: attribute.baseAddress), toByteOffset: 40, as: UInt.self)
                configuration.storeBytes(of: 1, toByteOffset: 48, as: CUnsignedInt.self)
                return launch(configuration.baseAddress!, function, arguments, nil)
            }
        }
    }
}
