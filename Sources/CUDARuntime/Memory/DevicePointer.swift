/// An address in the memory of a card. The host cannot read through it.
package struct DevicePointer: Sendable, Hashable, BitwiseCopyable {
    package let address: UInt64

    package init(address: UInt64) { self.address = address }

    package func advanced(by bytes: Int) -> DevicePointer { DevicePointer(address: address + UInt64(bytes)) }
}
