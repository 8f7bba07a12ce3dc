import CUDARuntime
import Tensors

/// The chunks that are summed one by one, as tables in the memory of the card: see ``Schedule/Sums``.
struct DeviceSums: Sendable {
    struct Table: Sendable {
        let chunks, sequences: DeviceMemory
        let count: Int
    }

    private let forward, reverse, all: Table

    init(_ schedule: Schedule, _ context: CUDAContext) throws(PowerAttentionError) {
        func table(reverse: Bool, wantsEnd: Bool) throws(PowerAttentionError) -> Table {
            let sums = schedule.sums(reverse: reverse, wantsEnd: wantsEnd)
            return Table(
                chunks: try context.upload(sums.chunks), sequences: try context.upload(sums.sequences), count: sums.chunks.count
            )
        }
        forward = try table(reverse: false, wantsEnd: false)
        reverse = try table(reverse: true, wantsEnd: false)
        all = try table(reverse: false, wantsEnd: true)
    }

    func table(reverse isReverse: Bool, wantsEnd: Bool) -> Table { wantsEnd ? all : isReverse ? reverse : forward }
}
