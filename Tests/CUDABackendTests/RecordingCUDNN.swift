import CUDARuntime
import Synchronization

/// A cuDNN that pretends: it keeps what descriptors are given, and can refuse a kind of descriptor.
final class RecordingCUDNN: Sendable {
    struct Descriptor {
        var kind: CInt
        var attributes: [CInt: [Int]] = [:]
        var isFinal = false
    }

    private struct State {
        var descriptors: [CUDNN.Handle: Descriptor] = [:]
        var next: CUDNN.Handle = 1
        var refused: CInt?
        var destroyed = 0
    }

    private let state = Mutex(State())

    var descriptors: [Descriptor] { state.withLock { state in state.descriptors.keys.sorted().map { state.descriptors[$0]! } } }
    var destroyed: Int { state.withLock { $0.destroyed } }

    /// Lets descriptors of a kind not be finalized.
    func refuse(_ kind: CInt) { state.withLock { $0.refused = kind } }

    var table: CUDNN {
        CUDNN(
            getVersion: { 91_900 },
            getLastErrorString: { text, _ in
                for (index, byte) in "no such thing".utf8.enumerated() { text[index] = CChar(bitPattern: byte) }
            },
            create: {
                $0.pointee = 7; return 0
            }, destroy: { _ in 0 }, setStream: { _, _ in 0 },
            createDescriptor: { kind, handle in
                self.state.withLock { state in
                    handle.pointee = state.next
                    state.descriptors[state.next] = Descriptor(kind: kind)
                    state.next += 1
                }
                return 0
            },
            destroyDescriptor: { _ in
                self.state.withLock { $0.destroyed += 1 }
                return 0
            },
            setAttribute: { descriptor, attribute, type, count, elements in
                // Booleans have a byte; handles, integers, pointers and descriptors eight; what names something four.
                let values = (0..<Int(count)).map { index in
                    switch type {
                    case 2: Int(elements.load(fromByteOffset: index, as: UInt8.self))
                    case 0, 3, 6, 15: elements.load(fromByteOffset: 8 * index, as: Int.self)
                    default: Int(elements.load(fromByteOffset: 4 * index, as: Int32.self))
                    }
                }
                self.state.withLock { $0.descriptors[descriptor]?.attributes[attribute] = values }
                return 0
            },
            getAttribute: { _, _, _, _, count, _ in
                count.pointee = 0
                return 0
            },
            finalize: { descriptor in
                self.state.withLock { state in
                    guard state.descriptors[descriptor]?.kind != state.refused else { return 3000 }
                    state.descriptors[descriptor]?.isFinal = true
                    return 0
                }
            },
            execute: { _, _, _ in 0 })
    }
}
