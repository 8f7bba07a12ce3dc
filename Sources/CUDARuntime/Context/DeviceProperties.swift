import Foundation
package import Tensors

/// What a card is and has.
package struct DeviceProperties: Sendable, Hashable {
    package let ordinal: Int
    package let name: String
    /// The compute capability.
    package let major, minor: Int
    package let multiprocessorCount: Int
    /// The most shared memory that a block may ask for, in bytes.
    package let sharedMemoryPerBlock: Int
    package let sharedMemoryPerMultiprocessor: Int
    package let registersPerMultiprocessor: Int
    package let threadsPerBlock: Int
    /// Bytes.
    package let totalMemory: Int
    package let l2Bytes: Int
    /// Kilohertz, and bits of the memory's bus; 0 where the driver does not say.
    package let clockRate, memoryClockRate, memoryBusWidth: Int

    /// What kernels for this card are compiled for, `sm_90a`.
    package var architecture: String { Architecture.name(major: major, minor: minor) }
    package var computeCapability: String { "\(major).\(minor)" }

    /// Operations a second of dense products in bfloat16 with sums in float32, at the clock that the data sheets of these generations
    /// reckon with (989 TFLOP/s for an H100 SXM); `nil` for cards that are not known, or do not tell their clock.
    package var bfloat16FLOPS: Double? {
        let known: (perClock: Int, kilohertz: Int)? =
            switch (major, minor) {
            case (8, 0): (2048, 1_410_000)
            case (8, 9): (1024, 2_520_000)
            case (9, 0): (4096, 1_830_000)
            case (10, 0): (8192, 1_850_000)
            default: nil
            }
        guard let known, clockRate > 0 else { return nil }
        return Double(known.perClock) * Double(multiprocessorCount) * Double(min(clockRate, known.kilohertz)) * 1000
    }

    /// Asks the driver.
    ///
    /// - Throws: `invalidArgument` where there is no card of this number.
    package init(_ driver: Driver, ordinal: Int) throws(PowerAttentionError) {
        let count = try Self.count(driver)
        guard (0..<count).contains(ordinal) else {
            let cards = count == 0 ? "a machine with a card" : count == 1 ? "0, the only card" : "a card from 0 to \(count - 1)"
            throw PowerAttentionError(
                count == 0 ? .unsupported : .invalidArgument, argument: "device", given: "cuda:\(ordinal)", expected: cards)
        }
        let device = try Self.device(driver, ordinal)
        func attribute(_ attribute: DeviceAttribute) throws(PowerAttentionError) -> Int {
            var value: CInt = 0
            try driver.check(
                driver.deviceGetAttribute(&value, attribute.rawValue, device), "cuDeviceGetAttribute", "\(attribute)")
            return Int(value)
        }
        var name = [CChar](repeating: 0, count: 256)
        try driver.check(driver.deviceGetName(&name, CInt(name.count - 1), device), "cuDeviceGetName")
        var total = 0
        try driver.check(driver.deviceTotalMem(&total, device), "cuDeviceTotalMem")
        self.ordinal = ordinal
        self.name = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        major = try attribute(.computeCapabilityMajor)
        minor = try attribute(.computeCapabilityMinor)
        multiprocessorCount = try attribute(.multiprocessorCount)
        sharedMemoryPerBlock = try attribute(.sharedMemoryPerBlock)
        sharedMemoryPerMultiprocessor = try attribute(.sharedMemoryPerMultiprocessor)
        registersPerMultiprocessor = try attribute(.registersPerMultiprocessor)
        threadsPerBlock = try attribute(.threadsPerBlock)
        totalMemory = total
        l2Bytes = (try? attribute(.l2Bytes)) ?? 0
        clockRate = (try? attribute(.clockRate)) ?? 0
        memoryClockRate = (try? attribute(.memoryClockRate)) ?? 0
        memoryBusWidth = (try? attribute(.memoryBusWidth)) ?? 0
    }

    /// The number of cards that `CUDA_VISIBLE_DEVICES` leaves.
    package static func count(_ driver: Driver) throws(PowerAttentionError) -> Int {
        var count: CInt = 0
        let result = driver.deviceGetCount(&count)
        if result == Driver.Failure.noDevice { return 0 }
        try driver.check(result, "cuDeviceGetCount")
        return Int(count)
    }

    /// The driver's number of a card.
    static func device(_ driver: Driver, _ ordinal: Int) throws(PowerAttentionError) -> CInt {
        var device: CInt = 0
        try driver.check(driver.deviceGet(&device, CInt(ordinal)), "cuDeviceGet")
        return device
    }
}
