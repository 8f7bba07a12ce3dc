import CUDARuntime
import Tensors

/// A part of memory that is allocated, and set, as one.
struct DevicePart: Sendable {
    let pointer: DevicePointer
    let memory: DeviceMemory
}

extension KernelArgument {
    static func part(_ part: DevicePart?) -> KernelArgument { .pointer(part?.pointer, heldBy: part?.memory) }
}

/// Where the kernels of a pass count what is done, on the card: items that their blocks have taken, parts of states that are stored, and
/// what else starts from zero.
struct Progress: Sendable {
    private let numbers: DeviceMemory
    private let queues, states: Int

    /// All zero.
    ///
    /// - Parameters:
    ///   - queues: kernels whose blocks take items.
    ///   - states: states that a kernel may wait for.
    ///   - others: numbers of 32 bits.
    init(queues: Int, states: Int, others: Int = 0, _ context: CUDAContext) throws(PowerAttentionError) {
        self.queues = queues
        self.states = states
        numbers = try context.allocate(queues + states + others, 4)
        try context.fill(numbers.pointer, byte: 0, byteCount: (queues + states + others) * 4)
    }

    /// The other numbers, from one of them on.
    func others(from first: Int) -> DevicePart {
        DevicePart(pointer: numbers.pointer.advanced(by: (queues + states + first) * 4), memory: numbers)
    }

    /// Items that the blocks of a kernel have taken.
    func taken(_ queue: Int) -> KernelArgument { .pointer(numbers.pointer.advanced(by: queue * 4), heldBy: numbers) }

    /// Blocks that have stored their parts of each state.
    var stored: KernelArgument { .pointer(numbers.pointer.advanced(by: queues * 4), heldBy: numbers) }
}

/// The states that a walk over the chunks leaves.
struct WalkedStates: Sendable {
    /// Before (in reverse, after) every chunk, in scratch precision.
    var states: DeviceMemory?
    /// Beyond the last chunk of the walk, in float32.
    var end: DeviceMemory?
    /// How many blocks count for every state that they have stored their parts of it; `nil` where nobody counts.
    var storingBlocks: Int?

    static let none = WalkedStates()

    /// What a kernel takes that reads the states, and may do so while the walk goes on.
    func waiting(for progress: Progress) -> [KernelArgument] {
        [storingBlocks == nil ? .pointer(nil) : progress.stored, .int(storingBlocks ?? 0)]
    }
}
