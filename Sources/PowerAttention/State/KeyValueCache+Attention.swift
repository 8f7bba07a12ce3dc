import BackendInterface
import Foundation
import Tensors

extension KeyValueCache {
    /// The outputs `[n, m, hq, e]` of queries `[n, m, hq, d]` that belong to the last m tokens, in the cache's type.
    ///
    /// Weights are divided by the largest score to the power p, or by the largest exponential: nothing overflows.
    func attend(_ q: Tensor, _ configuration: AttentionConfiguration) -> Tensor {
        keys.dataType == .float64
            ? attend(q, configuration, in: Double.self) : attend(q, configuration, in: Float.self)
    }

    private func attend<Number: TensorElement & BinaryFloatingPoint & SIMDScalar>(
        _ q: Tensor, _ configuration: AttentionConfiguration, in type: Number.Type
    ) -> Tensor {
        let (m, queryHeads) = (q.shape[1], q.shape[2])
        let q = q.converted(to: keys.dataType)
        var result = Tensor([sequences, m, queryHeads, valueWidth], keys.dataType)
        let rows = CacheRows<Number>(
            cache: self, mechanism: configuration.mechanism, normalization: configuration.normalization,
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
private struct CacheRows<Number: TensorElement & BinaryFloatingPoint & SIMDScalar>: @unchecked Sendable {
    let cache: KeyValueCache
    let mechanism: AttentionConfiguration.Mechanism
    let normalization: AttentionConfiguration.Normalization
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
        var weights = [Double](repeating: 0, count: cache.count)
        for i in 0..<added {
            let row = (sequence * added + i) * queryHeads + head
            let own = cache.count - added + i
            let first = max(0, cache.window.map { own + 1 - $0 } ?? 0)
            for j in first...own { weights[j] = scale * Double(dot(q + row * d, keys + (j * stride + keyHead) * d, d)) }
            let factor = weigh(&weights, first...own, gates: logGates + keyHead, stride: stride)
            let y = output + row * e
            for j in first...own where weights[j] != 0 {
                let weight = Number(weights[j])
                let v = values + (j * stride + keyHead) * e
                for n in 0..<e { y[n] += weight * v[n] }
            }
            if factor != 1 { for n in 0..<e { y[n] = Number(factor * Double(y[n])) } }
        }
    }

    /// Turns scores into weights, relative to their sum, or to the largest score that is not forgotten; returns what the sum of
    /// values is to be multiplied by.
    private func weigh(
        _ weights: inout [Double], _ range: ClosedRange<Int>, gates: UnsafePointer<Number>, stride: Int
    ) -> Double {
        var decay = 0.0
        var largest = -Double.infinity
        for j in range.reversed() where decay > -.infinity {
            if mechanism.degree == nil { weights[j] += decay }
            largest = max(largest, mechanism.degree == nil ? weights[j] : abs(weights[j]))
            decay += Double(gates[j * stride])
        }
        decay = 0
        var sum = 0.0
        for j in range.reversed() {
            if decay == -.infinity {
                weights[j] = 0
            } else if let degree = mechanism.degree {
                weights[j] = largest == 0 ? 0 : power(weights[j] / largest, degree) * (decay == 0 ? 1 : exp(decay))
            } else {
                weights[j] = exp(weights[j] - largest)
            }
            sum += weights[j]
            decay += Double(gates[j * stride])
        }
        guard normalization == .sum else { return power(largest, mechanism.degree ?? 0) }
        for j in range where weights[j] != 0 { weights[j] /= sum }
        return 1
    }
}

/// `x^p`.
private func power(_ x: Double, _ degree: Int) -> Double { (0..<degree).reduce(1) { product, _ in product * x } }

/// The inner product of `count` numbers.
private func dot<Number: BinaryFloatingPoint & SIMDScalar>(
    _ a: UnsafePointer<Number>, _ b: UnsafePointer<Number>, _ count: Int
) -> Number {
    let (rawA, rawB) = (UnsafeRawPointer(a), UnsafeRawPointer(b))
    var lanes = SIMD8<Number>()
    var index = 0
    while index + 8 <= count {
        let offset = index * MemoryLayout<Number>.stride
        lanes +=
            rawA.loadUnaligned(fromByteOffset: offset, as: SIMD8<Number>.self)
            * rawB.loadUnaligned(fromByteOffset: offset, as: SIMD8<Number>.self)
        index += 8
    }
    var sum = lanes.sum()
    while index < count {
        sum += a[index] * b[index]
        index += 1
    }
    return sum
}
