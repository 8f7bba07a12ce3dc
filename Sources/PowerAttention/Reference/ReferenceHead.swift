import BackendInterface
import Foundation

/// One sequence and one key head with the query heads that read it, in float64, row by row.
///
/// `G_i − G_j` is summed from token `j + 1` to token `i` for every pair, so that neither a closed gate (−∞) nor a very small one
/// disturbs what comes after it. Weights of a row are divided by the largest one where a normalizer follows: no power overflows.
struct ReferenceHead {
    let problem: AttentionProblem
    /// The number of tokens.
    let count: Int
    /// `[r, count, d]`, `[count, d]`, `[count, e]`.
    let q, k, v: [Double]
    /// `[count]`; zeros where there are no gates.
    let logG: [Double]
    let initialState: State?
    /// φ; needed where a state goes in or out.
    let expansion: ReferenceExpansion?

    /// A state of one head: the true one is `S`, `z` times `exp(logScale)`.
    struct State {
        /// `[D, e]` and `[D]`.
        var S, z: [Double]
        var logScale: Double
    }

    func query(_ head: Int, _ i: Int) -> ArraySlice<Double> {
        let d = problem.keyWidth
        return q[(head * count + i) * d..<(head * count + i + 1) * d]
    }
    func key(_ j: Int) -> ArraySlice<Double> { k[j * problem.keyWidth..<(j + 1) * problem.keyWidth] }
    func value(_ j: Int) -> ArraySlice<Double> { v[j * problem.valueWidth..<(j + 1) * problem.valueWidth] }

    /// What one query gives to the tokens before it, all of it divided by one positive number that a normalizer cancels.
    struct Row {
        /// The first token that the query sees.
        var first: Int
        /// `a_ij` for j = first … i.
        var weights: [Double]
        /// `∂a_ij/∂s_ij`, where `s_ij = scale · q_i·k_j`.
        var slopes: [Double]
        /// `scale^p exp(G_i)`, the weight of the initial state; zero without one.
        var stateWeight = 0.0
        /// φ(q_i) with coefficients, `φ(q_i)ᵀS` and `φ(q_i)ᵀz`.
        var features: [Double] = []
        var stateOutput: [Double] = []
        var stateSum = 0.0

        /// `Σ_j a_ij`, the initial state's share included.
        var sum: Double { weights.reduce(0, +) + stateWeight * stateSum }
    }

    func row(_ head: Int, _ i: Int) -> Row {
        let first = firstKey(of: i)
        var logWeights = [Double](repeating: 0, count: i - first + 1)
        var logSlopes = logWeights
        var scores = logWeights
        var decay = 0.0  // G_i − G_j
        let q = query(head, i)
        for j in (first...i).reversed() {
            let s = problem.scale * dot(q, key(j))
            scores[j - first] = s
            switch problem.mechanism {
            case .power(let p):
                logWeights[j - first] = Double(p) * log(abs(s)) + decay
                logSlopes[j - first] = log(Double(p)) + (p == 1 ? 0 : Double(p - 1) * log(abs(s))) + decay
            case .exponential:
                logWeights[j - first] = s + decay
                logSlopes[j - first] = s + decay
            }
            decay += logG[j]
        }
        var row = Row(first: first, weights: [], slopes: [])
        var logStateWeight = -Double.infinity
        if let initialState, let expansion, let p = problem.degree {
            row.features = expansion.expandQuery(q)
            row.stateSum = dot(row.features[...], initialState.z[...])
            row.stateOutput = leftProduct(row.features, initialState.S)
            logStateWeight = Double(p) * log(problem.scale) + decay + initialState.logScale
        }
        let shift = shift(logWeights + [logStateWeight + log(abs(row.stateSum))])
        row.stateWeight = exp(logStateWeight - shift)
        row.weights = zip(logWeights, scores).map { exp($0 - shift) * sign($1, power: problem.degree ?? 0) }
        row.slopes = zip(logSlopes, scores).map { exp($0 - shift) * sign($1, power: (problem.degree ?? 1) - 1) }
        return row
    }

    /// The largest logarithm of a weight, where a normalizer divides it out again.
    private func shift(_ logWeights: [Double]) -> Double {
        guard problem.normalization == .sum, let largest = logWeights.max(), largest.isFinite else { return 0 }
        return largest
    }

    private func firstKey(of i: Int) -> Int {
        if case .exponential(.some(let window)) = problem.mechanism, window <= i { i - window + 1 } else { 0 }
    }

    /// `exp(G_T − G_j)` for every token j, and `exp(G_T)` besides.
    func decaysToEnd() -> (tokens: [Double], start: Double) {
        var decays = [Double](repeating: 0, count: count)
        var decay = 0.0
        for j in (0..<count).reversed() {
            decays[j] = exp(decay)
            decay += logG[j]
        }
        return (decays, exp(decay))
    }
}

/// `sign(s)^p`.
private func sign(_ s: Double, power: Int) -> Double { s < 0 && !power.isMultiple(of: 2) ? -1 : 1 }

/// `a·b`.
func dot(_ a: ArraySlice<Double>, _ b: ArraySlice<Double>) -> Double {
    var sum = 0.0
    for (x, y) in zip(a, b) { sum += x * y }
    return sum
}

/// `a += weight · b`.
func add(_ weight: Double, _ b: ArraySlice<Double>, to a: inout [Double], at offset: Int = 0) {
    for (n, y) in b.enumerated() { a[offset + n] += weight * y }
}

/// `xᵀM` for a matrix with a row for every entry of `x`.
func leftProduct(_ x: [Double], _ matrix: [Double]) -> [Double] {
    let columns = matrix.count / x.count
    var result = [Double](repeating: 0, count: columns)
    for (n, weight) in x.enumerated() { add(weight, matrix[n * columns..<(n + 1) * columns], to: &result) }
    return result
}

/// `Mx` for a matrix with a column for every entry of `x`.
func rightProduct(_ matrix: [Double], _ x: ArraySlice<Double>) -> [Double] {
    (0..<matrix.count / x.count).map { dot(matrix[$0 * x.count..<($0 + 1) * x.count], x) }
}
