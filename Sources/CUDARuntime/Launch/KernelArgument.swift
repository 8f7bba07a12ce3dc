/// An argument of a kernel, as the driver takes it.
package enum KernelArgument: Sendable {
    /// An address, or null, and what keeps the memory there until the launch is queued: another thread would be given memory that is let
    /// go before.
    case pointer(DevicePointer?, heldBy: (any Sendable)? = nil)
    case int32(Int32)
    case int64(Int64)
    case float(Float)
    case tensorMap(TensorMap)

    package static func memory(_ memory: DeviceMemory?) -> KernelArgument { .pointer(memory?.pointer, heldBy: memory) }

    /// The size of the parameter.
    var byteCount: Int {
        switch self {
        case .pointer, .int64: 8
        case .int32, .float: 4
        case .tensorMap: 8 * TensorMap.wordCount
        }
    }
}

extension KernelArgument {
    /// Memory of the card that the kernel may read or write through it.
    var address: DevicePointer? {
        switch self {
        case .pointer(let pointer, _): pointer
        case .tensorMap(let map): map.address
        case .int32, .int64, .float: nil
        }
    }

    /// Words of 8 bytes that the value takes, and ``store(to:)`` writes: its bytes, the lowest first, zeros behind.
    var wordCount: Int {
        switch self {
        case .pointer, .int32, .int64, .float: 1
        case .tensorMap: TensorMap.wordCount
        }
    }

    func store(to words: UnsafeMutablePointer<UInt64>) {
        switch self {
        case .pointer(let pointer, _): words.initialize(to: (pointer?.address ?? 0).littleEndian)
        case .int32(let value): words.initialize(to: UInt64(UInt32(bitPattern: value)).littleEndian)
        case .int64(let value): words.initialize(to: UInt64(bitPattern: value).littleEndian)
        case .float(let value): words.initialize(to: UInt64(value.bitPattern).littleEndian)
        case .tensorMap(let map): for (index, word) in map.words.enumerated() { (words + index).initialize(to: word) }
        }
    }
}
