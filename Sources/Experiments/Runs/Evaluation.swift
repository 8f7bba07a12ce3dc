/// `eval.json`: the mean loss over held-out documents and its course along the context, the in-context learning curve.
public struct Evaluation: Sendable, Hashable, Decodable {
    /// The loss at positions `from ..< to` of the context.
    public struct Bin: Sendable, Hashable, Decodable {
        public let from: Int
        public let to: Int
        /// Nats a token, the mean over documents.
        public let loss: Double
        /// Of the mean over documents; absent where there is one document.
        public let standardError: Double?
        /// The number of scored tokens.
        public let count: Int?

        enum CodingKeys: String, CodingKey {
            case from, to, loss, count
            case standardError = "standard_error"
        }
    }

    /// The number of tokens of a scored document.
    public let context: Int
    public let documents: Int?
    public let tokens: Int?
    public let meanLoss: Double
    public let standardError: Double?
    public let bins: [Bin]

    enum CodingKeys: String, CodingKey {
        case context, documents, tokens, bins
        case meanLoss = "mean_loss"
        case standardError = "standard_error"
    }

    /// What is wrong with the numbers, or `nil`.
    var fault: (given: String, expected: String)? {
        let losses: [Double] = [meanLoss] + bins.map(\.loss) + bins.compactMap(\.standardError)
        if let loss = losses.first(where: { !Run.legalLosses.contains($0) }) {
            return ("a loss or an error of \(loss)", "nats: a number from 0 to 1e100")
        }
        guard (1...Run.largestCount).contains(context) else { return ("context \(context)", "from 1 to 2^53") }
        var end = 0
        for bin in bins {
            guard bin.from >= end, bin.to > bin.from, bin.to <= context else {
                return ("a bin from \(bin.from) to \(bin.to)", "bins in order, from \(end) up to \(context)")
            }
            end = bin.to
        }
        return nil
    }
}

extension Evaluation.Bin {
    /// Where the bin is drawn: the geometric mean of its first and last position, counted from one.
    package var position: Double { (Double(from + 1) * Double(to)).squareRoot() }
}
