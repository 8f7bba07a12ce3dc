/// What the driver is asked about a card, by its numbers of `CUdevice_attribute`.
enum DeviceAttribute: CInt {
    case threadsPerBlock = 1
    case clockRate = 13
    case multiprocessorCount = 16
    case memoryClockRate = 36
    case memoryBusWidth = 37
    case l2Bytes = 38
    case computeCapabilityMajor = 75
    case computeCapabilityMinor = 76
    case sharedMemoryPerMultiprocessor = 81
    case registersPerMultiprocessor = 82
    /// With the driver's consent for the function: without it, 48 KiB.
    case sharedMemoryPerBlock = 97
}
