import Foundation

extension ReferenceHead {
    /// `y_i = Σ_j a_ij v_j / Σ_j a_ij`, or without the divisor; zero where the weights sum to zero. `[r, count, e]`.
    func outputs() -> [Double] {
        let e = problem.valueWidth
        var y = [Double](repeating: 0, count: problem.group * count * e)
        for head in 0..<problem.group {
            for i in 0..<count {
                add(1, output(row(head, i))[...], to: &y, at: (head * count + i) * e)
            }
        }
        return y
    }

    func output(_ row: Row) -> [Double] {
        var y = [Double](repeating: 0, count: problem.valueWidth)
        let divisor = divisor(row)
        guard divisor != 0 else { return y }
        for (n, weight) in row.weights.enumerated() { add(weight / divisor, value(row.first + n), to: &y) }
        if row.stateWeight != 0 { add(row.stateWeight / divisor, row.stateOutput[...], to: &y) }
        return y
    }

    func divisor(_ row: Row) -> Double { problem.normalization == .sum ? row.sum : 1 }

    /// `S = exp(G_T) S_0 + Σ_j exp(G_T − G_j) φ(k_j) v_jᵀ`, and `z` likewise.
    func finalState(_ expansion: ReferenceExpansion) -> State {
        let e = problem.valueWidth
        let decays = decaysToEnd()
        var state = State(
            S: [Double](repeating: 0, count: expansion.dimension * e),
            z: [Double](repeating: 0, count: expansion.dimension), logScale: 0)
        if let initialState {
            let weight = decays.start * exp(initialState.logScale)
            add(weight, initialState.S[...], to: &state.S)
            add(weight, initialState.z[...], to: &state.z)
        }
        for j in 0..<count where decays.tokens[j] != 0 {
            let features = expansion.expand(key(j))
            add(decays.tokens[j], features[...], to: &state.z)
            for (f, feature) in features.enumerated() {
                add(decays.tokens[j] * feature, value(j), to: &state.S, at: f * e)
            }
        }
        return state
    }
}
