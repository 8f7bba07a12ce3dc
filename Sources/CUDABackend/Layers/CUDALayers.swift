import BackendInterface
package import CUDARuntime
import Synchronization
package import Tensors

/// The layers of a language model on one card, for tensors in its memory. Calls queue work and return.
///
/// Activations, the residual stream among them, are bfloat16: half the memory and half the traffic of float32, which is what these kernels
/// wait for. Every kernel computes in float32 between what it reads and what it writes, products sum in float32, and the parameters
/// themselves stay in float32, so that no update is lost in rounding. In float32, activations as well, the same kernels are exact enough
/// to be checked closely.
package final class CUDALayers: LayerKernels {
    package let context: CUDAContext
    let products: MatrixProducts
    package let activations: DataType
    /// For the weight of every norm that is watched, where it says that a row was not finite: see ``watch(_:)``.
    let flags = Mutex<[UInt64: DevicePointer]>([:])

    package init(
        _ context: CUDAContext, activations: DataType = .bfloat16, library: CUBLASLt
    ) throws(PowerAttentionError) {
        precondition(activations == .bfloat16 || activations == .float32)
        self.context = context
        self.activations = activations
        products = try MatrixProducts(context, library: library)
    }

    package var activationType: DataType? { activations }
    /// Rows of logits begin at multiples of 128 bytes.
    package static let columnAlignment = 64
    package var columnAlignment: Int { Self.columnAlignment }
    package static func aligned(_ count: Int) -> Int { (count + columnAlignment - 1) / columnAlignment * columnAlignment }

    /// Lets norms with these weights say in `flags`, one number each, that a row of their input was not finite; `nil` ends that.
    func watch(_ weights: [Tensor], _ flags: DevicePointer?) {
        self.flags.withLock { known in
            for (index, weight) in weights.enumerated() {
                known[weight.devicePointer.address] = flags?.advanced(by: 4 * index)
            }
        }
    }
}

extension CUDALayers {
    package func uninitialized(_ shape: [Int], _ dataType: DataType) throws(PowerAttentionError) -> Tensor {
        try context.tensor(shape, dataType)
    }

    package func place(_ host: Tensor) throws(PowerAttentionError) -> Tensor {
        context.tensor(try context.upload(host), host.shape, host.dataType)
    }

    package func zero(_ x: inout Tensor) throws(PowerAttentionError) {
        if !x.isUnique() { x = try context.tensor(x.shape, x.dataType) }
        try context.fill(x.devicePointer, byte: 0, byteCount: x.storage.byteCount)
    }

    package func setRows(_ x: inout Tensor, from first: Int, to rows: Tensor) throws(PowerAttentionError) {
        guard rows.shape != x.shape else { return x = rows }
        let target = try own(&x).advanced(by: first * (x.storage.byteCount / x.shape[0]))
        try context.copy(rows.devicePointer, to: target, byteCount: rows.storage.byteCount)
    }

    /// Compiles what a training step of a usual model launches, all at once; other kernels are compiled when they are first launched.
    ///
    /// - Parameters:
    ///   - headWidth: of a head of queries or keys, where projections have no biases.
    ///   - gates: the number of its gates a layer.
    ///   - hasGELU: whether GELU follows a product without biases.
    ///   - isCentered: whether its norms are layer norms.
    package func prepare(width: Int, headWidth: Int?, gates: Int, hasGELU: Bool, isCentered: Bool) throws(PowerAttentionError) {
        let wide = vector(width)
        let norm = try NormConfiguration(width: width, vector: wide)
        let centered = norm.macros + [("CENTERED", isCentered ? 1 : 0)]
        let byTiles = multipliesByTiles(width: width)
        try context.prepare(
            ["normalize", "norm_backward"].map { source("norm", $0, vector: wide, centered) }
                + ["embed", "count_digits", "sort_by_digit", "embed_backward", "join_embed_backward"].map {
                    source("embedding", $0, vector: wide)
                }
                + ["rotate", "set_columns", "swiglu", "swiglu_backward"].map { source("pointwise", $0, vector: wide) }
                + (gateSource(width: width, heads: gates, weightRows: aligned(gates)).map { [$0] } ?? [])
                + [source("gate", "log_sigmoid_backward_columns", vector: vector(columnAlignment))]
                + ["add_partial_sums", "add_sum"].map { source("sums", $0, vector: 1) }
                + (byTiles
                    ? [TiledProduct.odds.source] + Self.oddsFunctions.map { source("odds", $0, vector: wide) }
                    : [crossEntropySource(vector: vector(columnAlignment), threads: 512, keepsRow: true)])
                + (byTiles && headWidth == Self.projectedHead ? [TiledProduct.projections.source] : [])
                + (byTiles && hasGELU ? [TiledProduct.gelu.source, TiledProduct.geluGradient.source] : [])
                + ["square_sums", "decide_update", "adamw"].map { source("optimizer", $0, vector: 1) })
    }

    /// Where to write in place, after making sure that no other tensor shares the elements.
    func own(_ x: inout Tensor) throws(PowerAttentionError) -> DevicePointer {
        if !x.isUnique() {
            let copy = try context.tensor(x.shape, x.dataType)
            try context.copy(x.devicePointer, to: copy.devicePointer, byteCount: x.storage.byteCount)
            x = copy
        }
        return x.devicePointer
    }

    /// Numbers that kernels read at once where rows are `width` long.
    func vector(_ widths: Int...) -> Int {
        let largest = 16 / activations.byteCount
        return widths.allSatisfy { $0.isMultiple(of: largest) } ? largest : 1
    }

    func source(_ file: String, _ function: String, vector: Int, _ macros: [(String, Int)] = []) -> KernelSource {
        LayerSources.source(file, function, activations, vector: vector, macros)
    }

    func launch(
        _ kernel: KernelSource, grid: KernelLaunch.Grid, threads: Int, sharedBytes: Int = 0, _ arguments: [KernelArgument]
    ) throws(PowerAttentionError) {
        try context.launch(
            KernelLaunch(kernel, grid: grid, threads: threads, sharedBytes: sharedBytes, arguments: arguments))
    }
}
