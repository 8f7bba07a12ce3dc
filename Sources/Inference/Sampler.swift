import Foundation
package import Tensors

/// Draws tokens from logits. A value: a copy draws the same tokens.
package struct Sampler: Sendable {
    package let options: SamplingOptions
    private var generator: RandomGenerator

    package init(_ options: SamplingOptions) throws(PowerAttentionError) {
        try options.validate()
        self.options = options
        generator = RandomGenerator(seed: options.seed)
    }

    /// A token from `softmax(logits / temperature)`, restricted to the likeliest `topK`, then to the nucleus of `topP`.
    ///
    /// - Throws: `PowerAttentionError` where a logit is not a number, as after a training run that diverged.
    package mutating func draw(_ logits: Tensor) throws(PowerAttentionError) -> Int32 {
        let logits = logits.converted(to: .float64).array(of: Double.self)
        guard let largest = logits.max(), largest.isFinite, !logits.contains(where: \.isNaN) else {
            throw PowerAttentionError(
                argument: "model", given: "logits that are not numbers", expected: "a model whose training did not diverge")
        }
        guard options.temperature > 0 else { return Int32(logits.firstIndex(of: largest) ?? 0) }
        var candidates = logits.enumerated().map { token, logit in
            Candidate(token: Int32(token), weight: exp((logit - largest) / options.temperature))
        }
        if let topK = options.topK { candidates.keepLargest(topK) }
        if let topP = options.topP, topP < 1 { candidates.keepNucleus(topP) }
        var remaining = generator.uniform() * candidates.totalWeight
        for candidate in candidates {
            remaining -= candidate.weight
            if remaining < 0 { return candidate.token }
        }
        // Rounding left a little: the likeliest token is always among the candidates.
        return candidates.max { $0.weight < $1.weight }?.token ?? 0
    }
}

/// A token and its probability, up to a factor that all candidates share.
struct Candidate: Hashable {
    var token: Int32
    var weight: Double

    /// The order of likelihood; of equally likely tokens the smaller comes first.
    static func isLikelier(_ a: Candidate, _ b: Candidate) -> Bool {
        a.weight != b.weight ? a.weight > b.weight : a.token < b.token
    }
}

extension [Candidate] {
    var totalWeight: Double { reduce(0) { $0 + $1.weight } }

    /// Keeps the `count` likeliest (quickselect: O(n) on average, where sorting a vocabulary would take longer than the model).
    mutating func keepLargest(_ count: Int) {
        guard count < self.count else { return }
        // Everything before `low` is likelier, everything from `high` on less likely, than what lies between.
        var (low, high) = (0, self.count)
        while low < count, count < high, high - low > 1 {
            let pivot = self[(low + high) / 2]
            var (left, right) = (low, high - 1)
            while left <= right {
                while Candidate.isLikelier(self[left], pivot) { left += 1 }
                while Candidate.isLikelier(pivot, self[right]) { right -= 1 }
                if left <= right {
                    swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if count <= right + 1 {
                high = right + 1
            } else if count >= left {
                low = left
            } else {
                break
            }
        }
        removeLast(self.count - count)
    }

    /// Keeps the shortest run of the likeliest whose weights reach the share `topP` of the total.
    mutating func keepNucleus(_ topP: Double) {
        let total = totalWeight
        // Tokens below this weight have less than 1 − topP of the total together: the nucleus does without them.
        let threshold = total * (1 - topP) / Double(count)
        removeAll { $0.weight < threshold }
        sort(by: Candidate.isLikelier)
        var sum = 0.0
        guard
            let last = firstIndex(where: {
                sum += $0.weight; return sum >= topP * total
            })
        else { return }
        removeLast(count - last - 1)
    }
}
