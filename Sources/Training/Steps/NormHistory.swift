/// The running mean of the norms of gradients, by which a spike is known: over all updates at first, later over about the last fifty.
package struct NormHistory: Sendable, Hashable, Codable {
    package private(set) var mean = 0.0
    /// The number of updates.
    package private(set) var count = 0

    /// Updates before a norm can be a spike: those of the first steps are large.
    static let patience = 50

    init() {}

    init(mean: Double, count: Int) {
        self.mean = mean
        self.count = count
    }

    /// Why gradients of this norm are not to be used; `nil` where they are, which is then remembered.
    ///
    /// - Parameter spike: how many times the mean is a spike; zero where none is.
    mutating func fault(norm: Double, loss: Double, spike: Double) -> StepFault? {
        guard loss.isFinite, norm.isFinite else { return .notFinite(loss: loss, norm: norm) }
        if spike > 0, count >= Self.patience, norm > spike * mean {
            return .spike(norm: norm, limit: "where the last ones were about \(mean)")
        }
        count += 1
        mean += (norm - mean) / Double(min(count, Self.patience))
        return nil
    }
}
