import BackendInterface
import CKernels
import Synchronization

/// The runs of a symmetric power as the kernels read them, and where each block of 32 features begins.
final class FeatureTable: @unchecked Sendable {
    static let block = 32

    let power: SymmetricPower
    let dimension: Int
    /// The width of x rounded up to whole tiles; the entries beyond the width are zeros.
    let paddedWidth: Int
    let runCount: Int
    let runs: UnsafePointer<feature_run>
    private let positions: [feature_position]

    private init(_ power: SymmetricPower) {
        self.power = power
        dimension = power.dimension
        paddedWidth = power.tileCount * power.tile
        let source = power.runs()
        let storage = UnsafeMutablePointer<feature_run>.allocate(capacity: source.count)
        var positions: [feature_position] = []
        var feature = 0
        for (index, run) in source.enumerated() {
            (storage + index).initialize(
                to: feature_run(
                    first: run.first, second: run.second, third: run.third, start: run.start, length: run.length,
                    head_length: run.headLength, head_coefficient: run.headCoefficient,
                    tail_coefficient: run.tailCoefficient))
            while positions.count * Self.block < feature + Int(run.length) {
                let offset = positions.count * Self.block - feature
                positions.append(feature_position(run: Int32(index), offset: Int32(offset)))
            }
            feature += Int(run.length)
        }
        runs = UnsafePointer(storage)
        runCount = source.count
        self.positions = positions
    }

    deinit { runs.deallocate() }

    /// The number of blocks of 32 features, the last one possibly short.
    var blockCount: Int { positions.count }

    func position(ofBlock block: Int) -> feature_position { positions[block] }

    private static let cache = Mutex<[SymmetricPower: FeatureTable]>([:])

    /// The table of a symmetric power, built once.
    static func table(for power: SymmetricPower) -> FeatureTable {
        if let table = cache.withLock({ $0[power] }) { return table }
        let table = FeatureTable(power)
        cache.withLock { $0[power] = table }
        return table
    }
}
