import BackendInterface

/// The entries of φ written out one by one: what ``SymmetricPower`` describes in runs.
struct ReferenceExpansion: Sendable {
    /// The indices of the factors of feature f: `factors[f·p ..< (f + 1)·p]`. An index from `width` up stands for a zero.
    let factors: [Int]
    /// The number of orders in which the tiles of a feature's factors can stand: on the side of the query.
    let coefficients: [Double]
    let degree: Int
    let width: Int
    private let paddedWidth: Int

    init(_ power: SymmetricPower) {
        var factors: [Int] = []
        var coefficients: [Double] = []
        for run in power.runs() {
            let prefix = [run.first, run.second, run.third].prefix(power.degree - 1).map(Int.init)
            for n in 0..<Int(run.length) {
                factors += prefix
                factors.append(Int(run.start) + n)
                coefficients.append(Double(n < Int(run.headLength) ? run.headCoefficient : run.tailCoefficient))
            }
        }
        self.factors = factors
        self.coefficients = coefficients
        degree = power.degree
        width = power.width
        paddedWidth = power.tileCount * power.tile
    }

    /// D.
    var dimension: Int { coefficients.count }

    /// φ(x), with coefficient one in front of every monomial.
    func expand(_ x: ArraySlice<Double>) -> [Double] {
        let x = padded(x)
        return (0..<dimension).map { feature in
            var product = 1.0
            for factor in feature * degree..<(feature + 1) * degree { product *= x[factors[factor]] }
            return product
        }
    }

    /// φ(x) with the multinomial coefficients: the side of the query.
    func expandQuery(_ x: ArraySlice<Double>) -> [Double] {
        zip(expand(x), coefficients).map { $0 * $1 }
    }

    /// `Σ_f gradient_f · ∂φ_f/∂x`.
    func gradient(_ gradient: [Double], at x: ArraySlice<Double>) -> [Double] {
        let x = padded(x)
        var result = [Double](repeating: 0, count: x.count)
        for feature in 0..<dimension where gradient[feature] != 0 {
            let range = feature * degree..<(feature + 1) * degree
            for factor in range {
                var others = gradient[feature]
                for other in range where other != factor { others *= x[factors[other]] }
                result[factors[factor]] += others
            }
        }
        return Array(result.prefix(width))
    }

    /// The same for the side of the query.
    func queryGradient(_ gradient: [Double], at x: ArraySlice<Double>) -> [Double] {
        self.gradient(zip(gradient, coefficients).map { $0 * $1 }, at: x)
    }

    /// `x` with zeros up to the end of its last tile.
    private func padded(_ x: ArraySlice<Double>) -> [Double] {
        Array(x) + [Double](repeating: 0, count: paddedWidth - x.count)
    }
}
