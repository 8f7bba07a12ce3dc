import BackendInterface
import PowerAttention
import Tensors

/// Random tensors of one call.
struct RandomInputs {
    var q, k, v, dy: Tensor
    var logG: Tensor?

    init(
        batch: Int = 1, length: Int, heads: Int = 2, keyHeads: Int = 1, width: Int = 8, valueWidth: Int = 6,
        gated: Bool = true, dataType: DataType = .float32, seed: UInt64 = 1
    ) {
        var random = RandomGenerator(seed: seed)
        q = random.normal([batch, length, heads, width], dataType)
        k = random.normal([batch, length, keyHeads, width], dataType)
        v = random.normal([batch, length, keyHeads, valueWidth], dataType)
        dy = random.normal([batch, length, heads, valueWidth], dataType)
        if gated {
            var gates = Tensor([batch, length, keyHeads], .float32)
            gates.withMutableElements(of: Float.self) { elements in
                for index in elements.indices { elements[index] = Float(-0.3 * random.uniform()) }
            }
            logG = gates
        }
    }

    private init(q: Tensor, k: Tensor, v: Tensor, dy: Tensor, logG: Tensor?) {
        self.q = q
        self.k = k
        self.v = v
        self.dy = dy
        self.logG = logG
    }

    /// The tokens of a range, of every batch entry.
    subscript(tokens: Range<Int>) -> RandomInputs {
        RandomInputs(
            q: q.tokens(tokens), k: k.tokens(tokens), v: v.tokens(tokens), dy: dy.tokens(tokens), logG: logG?.tokens(tokens))
    }
}

extension Tensor {
    /// `[b, tokens, …]` out of `[b, t, …]`.
    func tokens(_ range: Range<Int>) -> Tensor {
        var result = Tensor([shape[0], range.count] + shape.dropFirst(2), dataType)
        let size = shape.dropFirst(2).reduce(dataType.byteCount, *)
        let target = result.mutablePointer(to: UInt8.self)
        for entry in 0..<shape[0] {
            (target + entry * range.count * size).update(
                from: pointer(to: UInt8.self) + (entry * shape[1] + range.lowerBound) * size, count: range.count * size)
        }
        return result
    }

    /// The tensors one after another along their second dimension.
    static func joined(_ parts: [Tensor]) -> Tensor {
        let shape = parts[0].shape
        let length = parts.reduce(0) { $0 + $1.shape[1] }
        var result = Tensor([shape[0], length] + shape.dropFirst(2), parts[0].dataType)
        let size = shape.dropFirst(2).reduce(parts[0].dataType.byteCount, *)
        let target = result.mutablePointer(to: UInt8.self)
        var start = 0
        for part in parts {
            for entry in 0..<shape[0] {
                (target + (entry * length + start) * size).update(
                    from: part.pointer(to: UInt8.self) + entry * part.shape[1] * size, count: part.shape[1] * size)
            }
            start += part.shape[1]
        }
        return result
    }

    /// Every element times `factor`.
    func times(_ factor: Double) -> Tensor {
        var wide = converted(to: .float64)
        wide.withMutableElements(of: Double.self) { for index in $0.indices { $0[index] *= factor } }
        return wide.converted(to: dataType)
    }
}
