import BackendInterface
import CPUBackend
import Tensors

extension KeyValueCache {
    /// The outputs `[n, m, hq, e]` of queries `[n, m, hq, d]` that belong to the last m tokens, in the cache's type.
    ///
    /// Weights are taken relative to the largest score, or to the largest exponential: nothing overflows.
    func attend(_ q: Tensor, _ configuration: AttentionConfiguration) -> Tensor {
        keys.dataType == .float64
            ? attend(q, configuration, in: Double.self) : attend(q, configuration, in: Float.self)
    }

    private func attend<Number: CacheElement>(
        _ q: Tensor, _ configuration: AttentionConfiguration, in type: Number.Type
    ) -> Tensor {
        let (m, queryHeads) = (q.shape[1], q.shape[2])
        let q = q.converted(to: keys.dataType)
        var result = Tensor([sequences, m, queryHeads, valueWidth], keys.dataType)
        let rows = CacheRows<Number>(
            cache: self, degree: configuration.mechanism.degree ?? 0, normalize: configuration.normalization == .sum,
            scale: configuration.scale ?? 1 / Double(keyWidth).squareRoot(), queryHeads: queryHeads, added: m,
            q: q.pointer(), keys: keys.pointer(), values: values.pointer(), logGates: logGates.pointer(),
            output: result.mutablePointer())
        parallelFor(sequences * queryHeads) { index in
            rows.run(sequence: index / queryHeads, head: index % queryHeads)
        }
        withExtendedLifetime((q, self)) {}
        return result
    }
}

/// The rows of one call of ``KeyValueCache/attend(_:_:)``.
private struct CacheRows<Number: CacheElement>: @unchecked Sendable {
    let cache: KeyValueCache
    /// p, or 0 for the exponential.
    let degree: Int
    let normalize: Bool
    let scale: Double
    let queryHeads: Int
    /// m.
    let added: Int
    let q, keys, values, logGates: UnsafePointer<Number>
    let output: UnsafeMutablePointer<Number>

    /// All queries of one query head of one sequence.
    func run(sequence: Int, head: Int) {
        let (d, e) = (cache.keyWidth, cache.valueWidth)
        let stride = cache.sequences * cache.keyHeads
        let keyHead = sequence * cache.keyHeads + head / (queryHeads / cache.keyHeads)
        let workspace = Storage(byteCount: 2 * cache.count * MemoryLayout<Double>.stride)
        for i in 0..<added {
            let row = (sequence * added + i) * queryHeads + head
            let own = cache.count - added + i
            let first = max(0, cache.window.map { own + 1 - $0 } ?? 0)
            let start = first * stride + keyHead
            Number.attend(
                q + row * d, keys: keys + start * d, values: values + start * e, gates: logGates + start, stride: stride, d: d,
                e: e, count: own - first + 1, degree: degree, normalize: normalize, scale: scale,
                workspace: workspace.pointer.assumingMemoryBound(to: Double.self), into: output + row * e)
        }
        withExtendedLifetime(workspace) {}
    }
}
