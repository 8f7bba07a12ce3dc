import BackendInterface
import Tensors

/// The keys, values and gates of the last tokens of some sequences, in the order in which they came: what exponential attention
/// carries from token to token, and power attention while its context is short.
///
/// Memory grows with the context, up to twice the window where there is one; a token costs O(tokens held).
public struct KeyValueCache: Sendable {
    /// n, the number of sequences, which advance together.
    public let sequences: Int
    public let keyHeads: Int
    /// d.
    public let keyWidth: Int
    /// e.
    public let valueWidth: Int
    /// The number of tokens that a query sees, its own among them; all where it is `nil`.
    public let window: Int?
    /// The number of tokens that every sequence has seen.
    public private(set) var tokens = 0
    /// The number of tokens that are held.
    public private(set) var count = 0

    /// `[capacity, n, h, d]`, `[capacity, n, h, e]`, `[capacity, n, h]` in float32 or float64: tokens first, so that a token is
    /// appended in one piece.
    private(set) var keys, values, logGates: Tensor

    init(_ shape: AttentionShape, window: Int? = nil) {
        sequences = shape.batch
        keyHeads = shape.keyHeads
        keyWidth = shape.keyWidth
        valueWidth = shape.valueWidth
        self.window = window
        (keys, values, logGates) = Self.storage(sequences, keyHeads, keyWidth, valueWidth, .float32)
    }

    private static func storage(
        _ sequences: Int, _ keyHeads: Int, _ keyWidth: Int, _ valueWidth: Int, _ dataType: DataType
    ) -> (Tensor, Tensor, Tensor) {
        let shape = [0, sequences, keyHeads]
        return (Tensor(shape + [keyWidth], dataType), Tensor(shape + [valueWidth], dataType), Tensor(shape, dataType))
    }

    /// A cache of nothing.
    static let empty = KeyValueCache(AttentionShape(batch: 0, length: 0, heads: 0, width: 0))

    /// Takes the type in which sums are formed, where nothing is held yet.
    mutating func prepare(_ dataType: DataType) {
        guard count == 0, dataType != keys.dataType else { return }
        (keys, values, logGates) = Self.storage(sequences, keyHeads, keyWidth, valueWidth, dataType)
    }

    /// Forgets all tokens, but not how many they were.
    mutating func removeAll() {
        count = 0
        (keys, values, logGates) = Self.storage(sequences, keyHeads, keyWidth, valueWidth, keys.dataType)
    }

    /// Throws unless the tensors of a problem are those of this cache's sequences.
    func check(_ problem: AttentionProblem) throws(PowerAttentionError) {
        let extents = [
            ("sequences", problem.sequences.count, sequences), ("key heads", problem.keyHeads, keyHeads),
            ("key width", problem.keyWidth, keyWidth), ("value width", problem.valueWidth, valueWidth),
        ]
        for (name, given, expected) in extents where given != expected {
            throw PowerAttentionError(
                argument: "state", given: "tensors with \(given) \(name)", expected: "\(expected), as in the state")
        }
    }

    /// The bytes of the tokens held.
    public var byteCount: Int {
        count * sequences * keyHeads * (keyWidth + valueWidth + 1) * keys.dataType.byteCount
    }

    /// Appends `k [n, m, h, d]`, `v [n, m, h, e]` and `log_g [n, m, h]`.
    mutating func append(k: Tensor, v: Tensor, logG: Tensor?) {
        let added = k.shape[1]
        trim()
        reserve(count + added)
        Self.store(k, in: &keys, at: count)
        Self.store(v, in: &values, at: count)
        Self.store(logG ?? Tensor(Array(k.shape.dropLast()), keys.dataType), in: &logGates, at: count)
        count += added
        tokens += added
    }

    /// The tokens held as `k [n, count, h, d]`, `v`, `log_g`.
    var contents: (k: Tensor, v: Tensor, logG: Tensor) {
        (load(keys, keyWidth, rank: 4), load(values, valueWidth, rank: 4), load(logGates, 1, rank: 3))
    }

    /// Forgets what no later query sees, once it is as much as what they see.
    private mutating func trim() {
        guard let window, count >= 2 * window else { return }
        let surplus = count - window
        for path in [\KeyValueCache.keys, \.values, \.logGates] {
            let size = self[keyPath: path].bytesPerToken
            let bytes = self[keyPath: path].mutablePointer(to: UInt8.self)
            bytes.update(from: bytes + surplus * size, count: window * size)
        }
        count = window
    }

    /// Makes room for `needed` tokens, at least doubling.
    private mutating func reserve(_ needed: Int) {
        let capacity = keys.shape[0]
        guard needed > capacity else { return }
        for path in [\KeyValueCache.keys, \.values, \.logGates] {
            let old = self[keyPath: path]
            var new = Tensor(
                uninitialized: [max(needed, 2 * capacity, 64)] + old.shape.dropFirst(), old.dataType)
            new.mutablePointer(to: UInt8.self).update(
                from: old.pointer(to: UInt8.self), count: count * old.bytesPerToken)
            self[keyPath: path] = new
        }
    }

    /// Writes `source [n, m, …]` into `destination [capacity, n, …]` from token `start` on.
    private static func store(_ source: Tensor, in destination: inout Tensor, at start: Int) {
        let source = source.converted(to: destination.dataType)
        let (sequences, added) = (source.shape[0], source.shape[1])
        guard sequences * added > 0 else { return }
        let size = destination.bytesPerToken / sequences
        let from = source.pointer(to: UInt8.self)
        let to = destination.mutablePointer(to: UInt8.self)
        for sequence in 0..<sequences {
            for token in 0..<added {
                (to + ((start + token) * sequences + sequence) * size)
                    .update(from: from + (sequence * added + token) * size, count: size)
            }
        }
        withExtendedLifetime(source) {}
    }

    /// `[n, count, h, width]` (or without the width) out of the held tokens.
    private func load(_ source: Tensor, _ width: Int, rank: Int) -> Tensor {
        var result = Tensor([sequences, count, keyHeads, width].prefix(rank) + [], source.dataType)
        guard sequences * count > 0 else { return result }
        let size = source.bytesPerToken / sequences
        let from = source.pointer(to: UInt8.self)
        let to = result.mutablePointer(to: UInt8.self)
        for sequence in 0..<sequences {
            for token in 0..<count {
                (to + (sequence * count + token) * size)
                    .update(from: from + (token * sequences + sequence) * size, count: size)
            }
        }
        return result
    }
}

extension Tensor {
    /// The size of one entry of the first dimension.
    fileprivate var bytesPerToken: Int { shape.dropFirst().reduce(dataType.byteCount, *) }
}
