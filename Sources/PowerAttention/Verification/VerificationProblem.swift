package import BackendInterface
package import Tensors

/// What is to be computed in one check of a backend: a function, extents, a type, and what kind of numbers go in.
package struct VerificationProblem: Sendable, Hashable {
    /// What the log-gates look like.
    package enum Gates: String, Sendable, Hashable {
        case none
        /// Between 0.6 and 1.
        case open
        /// Open, but every ninth is −∞ and every fifth forgets almost everything.
        case closing
        /// All one.
        case one
        /// All e^−8: a row is little more than its own token, and its gradients nearly cancel.
        case steep
    }

    /// What queries and keys look like.
    package enum Numbers: Sendable, Hashable {
        /// Normally distributed, times a factor.
        case normal(magnitude: Double)
        /// Normally distributed, every token times its own factor of 10^−spread … 10^spread.
        case uneven(spread: Double)
        /// Normally distributed around one: no query is nearly orthogonal to the keys before it. Where a state holds few tokens,
        /// float32 agrees with the definition at degree 4 on such numbers only.
        case aligned
        /// Normally distributed, but every tenth query (the first, too) nearly orthogonal to its own key.
        case orthogonal
        /// Queries, keys or values that are all zero.
        case zeroQueries, zeroKeys, zeroValues
        /// Every third query and every second key is zero.
        case someZeros
    }

    package var mechanism: AttentionConfiguration.Mechanism
    package var normalization: AttentionConfiguration.Normalization
    package var shape: AttentionShape
    /// The offsets of the sequences of a packed batch.
    package var cuSeqlens: [Int]?
    package var tile = 1
    package var dataType = DataType.float32
    package var gates = Gates.none
    package var numbers = Numbers.normal(magnitude: 1)
    /// A state goes in and one comes out, with gradients.
    package var states = false
    /// The chunk sizes of the chunked form.
    package var chunkSizes = [16, 64]

    package init(
        _ mechanism: AttentionConfiguration.Mechanism, _ shape: AttentionShape,
        normalization: AttentionConfiguration.Normalization? = nil
    ) {
        self.mechanism = mechanism
        self.shape = shape
        self.normalization = normalization ?? mechanism.defaultNormalization
    }

    /// The same problem with some fields changed.
    package func with(_ change: (inout VerificationProblem) -> Void) -> VerificationProblem {
        var result = self
        change(&result)
        return result
    }

    /// The gradients that are zero by cancellation. A normalizer takes the length of the query out, so at d = 1 the whole query;
    /// and a row of one weight is that token's value.
    var vanishing: Set<String> {
        guard normalization == .sum else { return [] }
        let longest = cuSeqlens.map { zip($0.dropFirst(), $0).map { $0 - $1 }.max() ?? 0 } ?? shape.length
        if mechanism == .exponential(window: 1) || longest == 1 && !states { return ["dq", "dk", "dlog_g"] }
        return shape.keyWidth == 1 && mechanism.degree != nil ? ["dq"] : []
    }

    var sequenceCount: Int { cuSeqlens.map { $0.count - 1 } ?? shape.batch }

    package func configuration(
        form: AttentionConfiguration.Form = .automatic, chunkSize: Int? = nil
    ) -> AttentionConfiguration {
        AttentionConfiguration(mechanism, normalization: normalization, form: form, chunkSize: chunkSize, tile: tile)
    }
}

extension VerificationProblem: CustomStringConvertible {
    package var description: String {
        var words: [String]
        switch mechanism {
        case .power(let degree): words = ["p=\(degree) \(normalization)"]
        case .exponential(let window): words = ["exponential" + (window.map { " window \($0)" } ?? "")]
        }
        words.append("\(dataType)")
        words.append("b=\(shape.batch) t=\(shape.length) hq=\(shape.queryHeads) h=\(shape.keyHeads)")
        words.append("d=\(shape.keyWidth) e=\(shape.valueWidth)")
        if tile != 1 { words.append("tile \(tile)") }
        if gates != .none { words.append("gates \(gates)") }
        if numbers != .normal(magnitude: 1) { words.append("\(numbers)") }
        if let cuSeqlens { words.append("packed \(cuSeqlens)") }
        if states { words.append("states") }
        return words.joined(separator: ", ")
    }
}
