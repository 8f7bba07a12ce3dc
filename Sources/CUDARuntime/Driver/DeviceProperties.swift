package import Tensors

/// What a card is, and what it has.
package struct DeviceProperties: Sendable, Hashable {
    package var ordinal: Int
    package var name: String
    package var computeCapability: ComputeCapability
    package var multiprocessorCount: Int
    /// The shared memory that a block may have, in bytes.
    package var sharedMemoryPerBlock: Int
    package var l2Bytes: Int
    package var totalMemory: Int

    package struct ComputeCapability: Sendable, Hashable, CustomStringConvertible {
        package var major, minor: Int

        package var description: String { "\(major).\(minor)" }
    }

    /// The target that kernels are compiled for, `sm_90a`: Hopper and Blackwell have instructions of their own.
    package var architecture: String {
        let isSpecific = [9, 10, 12].contains(computeCapability.major)
        return "sm_\(computeCapability.major)\(computeCapability.minor)" + (isSpecific ? "a" : "")
    }

    /// The properties of one card.
    init(_ ordinal: Int, device: Int32, driver: Driver) throws(PowerAttentionError) {
        func attribute(_ number: Int32) throws(PowerAttentionError) -> Int {
            var value: Int32 = 0
            try driver.check(driver.deviceAttribute(&value, number, device), "cuDeviceGetAttribute")
            return Int(value)
        }
        var characters = [CChar](repeating: 0, count: 256)
        let status = characters.withUnsafeMutableBufferPointer { driver.deviceName(device, $0) }
        try driver.check(status, "cuDeviceGetName")
        self.ordinal = ordinal
        name = String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        computeCapability = ComputeCapability(
            major: try attribute(DriverConstant.computeCapabilityMajor),
            minor: try attribute(DriverConstant.computeCapabilityMinor))
        multiprocessorCount = try attribute(DriverConstant.multiprocessorCount)
        sharedMemoryPerBlock = try attribute(DriverConstant.sharedMemoryPerBlock)
        l2Bytes = try attribute(DriverConstant.l2Bytes)
        var bytes = 0
        try driver.check(driver.deviceMemory(&bytes, device), "cuDeviceTotalMem")
        totalMemory = bytes
    }

    /// All cards of the machine.
    package static func all(_ driver: Driver) throws(PowerAttentionError) -> [DeviceProperties] {
        var count: Int32 = 0
        try driver.check(driver.deviceCount(&count), "cuDeviceGetCount")
        var cards: [DeviceProperties] = []
        for ordinal in 0..<count {
            var device: Int32 = 0
            try driver.check(driver.device(&device, ordinal), "cuDeviceGet")
            cards.append(try DeviceProperties(Int(ordinal), device: device, driver: driver))
        }
        return cards
    }
}
