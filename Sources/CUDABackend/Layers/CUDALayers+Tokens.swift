package import CUDARuntime
package import Tensors

extension CUDALayers {
    /// Digits of the sort and their number, places that a block of it has at least, and how many blocks there are at most.
    private static let (digitBits, digits, sortPlaces, sortBlocks) = (8, 256, 1024, 64)
    private static let (tile, columnThreads) = (64, 128)

    package func embed(_ tokens: Tensor, table: Tensor) throws(PowerAttentionError) -> Tensor {
        let width = table.rowWidth
        let y = try context.tensor([tokens.count, width], table.dataType)
        try launch(
            source("embedding", "embed", vector: vector(width)), grid: .init(tokens.count), threads: 256,
            [.tensor(tokens), .tensor(table), .tensor(y), .int(width)])
        return y
    }

    package func embedBackward(
        _ tokens: Tensor, gradient: Tensor, tableGradient: inout Tensor
    ) throws(PowerAttentionError) {
        try addRows(gradient, factors: nil, to: &tableGradient, at: tokens)
    }

    /// Adds row `r`, `factors[r]` times where these are given, to row `tokens[r]` of a table.
    func addRows(
        _ gradient: Tensor, factors: Tensor?, to tableGradient: inout Tensor, at tokens: Tensor
    ) throws(PowerAttentionError) {
        let (count, vocabulary, width) = (tokens.count, tableGradient.rowCount, tableGradient.rowWidth)
        let vector = vector(width)
        let order = try sort(tokens, vocabulary: vocabulary, vector: vector)
        let tiles = (count + Self.tile - 1) / Self.tile
        let perBlock = Self.columnThreads * vector
        let grid = KernelLaunch.Grid(tiles, (width + perBlock - 1) / perBlock)
        let partials = try context.tensor([tiles, 2, width], .float32)
        let table = try own(&tableGradient)
        try launch(
            source("embedding", "embed_backward", vector: vector), grid: grid, threads: Self.columnThreads,
            [
                .tensor(tokens), .tensor(order), .tensor(gradient), .tensor(factors), .pointer(table), .tensor(partials),
                .int(count), .int(width),
            ])
        try launch(
            source("embedding", "join_embed_backward", vector: vector), grid: grid, threads: Self.columnThreads,
            [.tensor(tokens), .tensor(order), .pointer(table), .tensor(partials), .int(count), .int(width)])
    }

    /// Follows ``addRows(_:factors:to:at:)``, of which nothing is left.
    static func takeRows(_ memory: inout RecordedMemory, count: Int, width: Int) {
        let order = [memory.take(4 * count), memory.take(4 * count)]
        let partials = memory.take(4 * ((count + tile - 1) / tile) * 2 * width)
        memory.release(order + [partials])
    }

    /// The places of tokens in ascending order, equal ones in the order of their places.
    private func sort(_ tokens: Tensor, vocabulary: Int, vector: Int) throws(PowerAttentionError) -> Tensor {
        let count = tokens.count
        let stretches = min(Self.sortBlocks, (count + Self.sortPlaces - 1) / Self.sortPlaces)
        let size = ((count + stretches - 1) / stretches + Self.digits - 1) / Self.digits * Self.digits
        let blocks = (count + size - 1) / size
        let counts = try context.tensor([blocks, Self.digits], .int32)
        let bits = Int.bitWidth - max(vocabulary - 1, 1).leadingZeroBitCount
        var sorted: Tensor?
        for shift in stride(from: 0, to: bits, by: Self.digitBits) {
            let target = try context.tensor([count], .int32)
            try launch(
                source("embedding", "count_digits", vector: vector), grid: .init(blocks), threads: Self.digits,
                [.tensor(tokens), .tensor(sorted), .tensor(counts), .int(count), .int(size), .int(shift)])
            try launch(
                source("embedding", "sort_by_digit", vector: vector), grid: .init(blocks), threads: Self.digits,
                [
                    .tensor(tokens), .tensor(sorted), .tensor(counts), .tensor(target), .int(count), .int(size), .int(shift),
                ])
            sorted = target
        }
        guard let sorted else { preconditionFailure("tokens of no bits") }
        return sorted
    }

    /// Shared memory of `cross_entropy` besides the row that it keeps, at most.
    private static let lossBytes = 1024

    func crossEntropySource(vector: Int, threads: Int, keepsRow: Bool) -> KernelSource {
        source("loss", "cross_entropy", vector: vector, [("THREADS", threads), ("KEPT", keepsRow ? 1 : 0)])
    }

    package func crossEntropy(
        _ logits: inout Tensor, columns: Int, targets: Tensor, gradientScale: Double?
    ) throws(PowerAttentionError) -> Tensor {
        let losses = try context.tensor([targets.count], .float32)
        let vector = vector(logits.rowWidth)
        let threads = min(512, (columns / vector + 31) / 32 * 32 + 32)
        let place = gradientScale == nil ? logits.devicePointer : try own(&logits)
        let rowBytes = logits.rowWidth * activations.byteCount
        let keepsRow = vector > 1 && rowBytes + Self.lossBytes <= context.properties.sharedMemoryPerBlock
        try launch(
            crossEntropySource(vector: vector, threads: threads, keepsRow: keepsRow), grid: .init(targets.count),
            threads: threads, sharedBytes: keepsRow ? rowBytes : 0,
            [
                .pointer(place), .tensor(targets), .tensor(losses), .int(columns), .int(logits.rowWidth),
                .flag(gradientScale != nil), .float(Float(gradientScale ?? 0)),
            ])
        return losses
    }

    /// Adds `factor` times the sum of losses to a number in float64.
    package func addSum(of losses: Tensor, times factor: Double, to total: DevicePointer) throws(PowerAttentionError) {
        try launch(
            source("sums", "add_sum", vector: 1), grid: .init(1), threads: 1024,
            [.tensor(losses), .pointer(total), .int(losses.count), .float(Float(factor))])
    }
}
