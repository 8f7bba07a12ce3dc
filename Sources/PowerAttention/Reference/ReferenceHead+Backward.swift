import Foundation

extension ReferenceHead {
    /// Gradients of one head in the layout of its inputs; the state's with respect to the stored `S` and `z`.
    struct Gradients {
        var q, k, v, logG: [Double]
        var initialState: State?
    }

    /// The gradients for `∂L/∂y` (`[r, count, e]`) and for `∂L/∂(true final state)`.
    func gradients(_ outputGradient: [Double], _ finalStateGradient: State?) -> Gradients {
        var gradients = Gradients(
            q: zeros(q.count), k: zeros(k.count), v: zeros(v.count), logG: zeros(count),
            initialState: initialState.map { State(S: zeros($0.S.count), z: zeros($0.z.count), logScale: $0.logScale) })
        var dG = zeros(count)
        for head in 0..<problem.group {
            for i in 0..<count {
                let start = (head * count + i) * problem.valueWidth
                let dy = outputGradient[start..<start + problem.valueWidth]
                addRow(head, i, dy, to: &gradients, &dG)
            }
        }
        if let finalStateGradient { addFinalState(finalStateGradient, to: &gradients, &dG) }
        // G is the cumulative sum of log_g: token m's gate is in every G_i with i ≥ m. A closed gate's weights are all zero.
        var sum = 0.0
        for m in (0..<count).reversed() {
            sum += dG[m]
            gradients.logG[m] = logG[m] == -.infinity ? 0 : sum
        }
        return gradients
    }

    /// Adds what row i gives, from `y_i = n_i/N_i` with `n_i = Σ_j a_ij v_j` and `N_i = Σ_j a_ij`:
    ///
    ///     ∂L/∂n_i = dy_i/N_i     ∂L/∂N_i = −dy_i·y_i/N_i     ∂L/∂a_ij = ∂L/∂n_i·v_j + ∂L/∂N_i
    private func addRow(
        _ head: Int, _ i: Int, _ dy: ArraySlice<Double>, to gradients: inout Gradients, _ dG: inout [Double]
    ) {
        let (d, e) = (problem.keyWidth, problem.valueWidth)
        let row = row(head, i)
        let divisor = divisor(row)
        guard divisor != 0 else { return }
        let dn = dy.map { $0 / divisor }[...]
        let dN = problem.normalization == .sum ? -dot(dn, output(row)[...]) : 0
        let queryStart = (head * count + i) * d
        for (n, weight) in row.weights.enumerated() {
            let j = row.first + n
            let da = dot(dn, value(j)) + dN
            let ds = row.slopes[n] * da * problem.scale
            add(weight, dn, to: &gradients.v, at: j * e)
            add(ds, key(j), to: &gradients.q, at: queryStart)
            add(ds, query(head, i), to: &gradients.k, at: j * d)
            dG[i] += weight * da
            dG[j] -= weight * da
        }
        guard let initialState, let expansion, row.stateWeight != 0 else { return }
        let weight = row.stateWeight
        dG[i] += weight * (dot(dn, row.stateOutput[...]) + dN * row.stateSum)
        for (f, feature) in row.features.enumerated() {
            add(weight * feature, dn, to: &gradients.initialState!.S, at: f * e)
            gradients.initialState!.z[f] += weight * feature * dN
        }
        let dFeatures = zip(rightProduct(initialState.S, dn), initialState.z).map { weight * ($0 + dN * $1) }
        add(1, expansion.queryGradient(dFeatures, at: query(head, i))[...], to: &gradients.q, at: queryStart)
    }

    /// Adds what the final state gives: `S = exp(G_T) S_0 + Σ_j exp(G_T − G_j) φ(k_j) v_jᵀ`.
    private func addFinalState(_ dState: State, to gradients: inout Gradients, _ dG: inout [Double]) {
        guard let expansion else { return }
        let (d, e) = (problem.keyWidth, problem.valueWidth)
        let decays = decaysToEnd()
        for j in 0..<count where decays.tokens[j] != 0 {
            let features = expansion.expand(key(j))
            let dv = leftProduct(features, dState.S)
            let dFeatures = zip(rightProduct(dState.S, value(j)), dState.z).map { decays.tokens[j] * ($0 + $1) }
            add(decays.tokens[j], dv[...], to: &gradients.v, at: j * e)
            add(1, expansion.gradient(dFeatures, at: key(j))[...], to: &gradients.k, at: j * d)
            let share = dot(dFeatures[...], features[...])
            dG[count - 1] += share
            dG[j] -= share
        }
        guard let initialState else { return }
        let weight = decays.start * exp(initialState.logScale)
        add(weight, dState.S[...], to: &gradients.initialState!.S)
        add(weight, dState.z[...], to: &gradients.initialState!.z)
        guard count > 0 else { return }
        dG[count - 1] += weight * (dot(initialState.S[...], dState.S[...]) + dot(initialState.z[...], dState.z[...]))
    }

    private func zeros(_ count: Int) -> [Double] { [Double](repeating: 0, count: count) }
}
