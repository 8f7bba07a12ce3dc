import Foundation

/// What a kernel takes of a card, as its compiler reports it.
package struct KernelReport: Sendable, Hashable, Codable {
    /// Registers of a thread.
    package var registers: Int
    /// Bytes of registers that are written to memory for want of room, and read back; bytes of a thread's stack.
    package var spillStores, spillLoads, stackBytes: Int
    /// Shared memory of a block that does not depend on the launch, in bytes.
    package var sharedBytes: Int

    /// The largest numbers among the functions of a compiler's log.
    init(log: String) {
        func largest(_ pattern: Regex<(Substring, Substring)>) -> Int {
            log.matches(of: pattern).compactMap { Int($0.output.1) }.max() ?? 0
        }
        registers = largest(/Used ([0-9]+) registers/)
        spillStores = largest(/([0-9]+) bytes spill stores/)
        spillLoads = largest(/([0-9]+) bytes spill loads/)
        stackBytes = largest(/([0-9]+) bytes stack frame/)
        sharedBytes = largest(/([0-9]+) bytes smem/)
    }
}
