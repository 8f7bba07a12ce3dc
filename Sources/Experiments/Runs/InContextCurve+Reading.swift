package import Training

extension InContextCurve {
    /// What is wrong with numbers that were read from a file, or `nil`.
    var fault: (given: String, expected: String)? {
        let losses: [Double] = [meanLoss, standardError ?? 0] + bins.map(\.loss) + bins.compactMap(\.standardError)
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

extension InContextCurve.Bin {
    /// Where the bin is drawn: the geometric mean of its first and last position, counted from one.
    package var position: Double { (Double(from + 1) * Double(to)).squareRoot() }
}
