import BackendInterface

/// A problem and the ways to compute it that are measured.
package struct VerificationCase: Sendable, Hashable {
    package let problem: VerificationProblem
    package let variants: [Verification.Variant]

    package init(_ problem: VerificationProblem, _ variants: [Verification.Variant]? = nil) {
        self.problem = problem
        self.variants = variants ?? problem.variants
    }

    /// Every problem of the table in every variant.
    package static var all: [VerificationCase] { VerificationProblem.table.map { VerificationCase($0) } }

    /// Some two dozen problems of the table with one variant or two: every degree, type, mechanism, form and kind of input once,
    /// for tools that slow a device down a hundred times.
    package static var short: [VerificationCase] {
        typealias Problem = VerificationProblem
        let (attention, recurrent) = (Verification.Variant(.attention), Verification.Variant(.recurrent))
        func cases(
            _ problems: [Problem], _ variants: [Verification.Variant] = [], where isWanted: (Problem) -> Bool = { _ in true }
        ) -> [VerificationCase] {
            problems.filter(isWanted).map { problem in
                let chunked = problem.chunkSizes.last.map { [Verification.Variant(.chunked, chunkSize: $0)] } ?? []
                return VerificationCase(problem, problem.mechanism.degree == nil ? nil : variants + chunked)
            }
        }
        let widths: [[Int]] = [[64, 64], [128, 16], [32, 5]]
        let windows: [Problem.Gates: Int?] = [.none: nil, .open: 5, .closing: 64]
        return cases(Problem.degrees, [recurrent]) { $0.states }
            + cases(Problem.widths) { widths.contains([$0.shape.keyWidth, $0.shape.valueWidth]) && $0.mechanism.degree != 1 }
            + cases(Problem.tiles) { $0.tile == 8 && $0.shape.keyWidth == 30 }
            + cases(Problem.types, [attention]) {
                $0.states
                    && ($0.dataType == .bfloat16
                        ? $0.normalization == $0.mechanism.defaultNormalization
                        : $0.mechanism == .power(degree: 2) && $0.normalization == .sum)
            }
            + cases(Problem.ragged) {
                $0.mechanism == .power(degree: 2) && $0.normalization == .sum && [0, 65, 140].contains($0.shape.length)
            }
            + cases(Problem.exponential) {
                guard case .exponential(let window) = $0.mechanism else { return false }
                return $0.shape.length == 150 ? windows[$0.gates] == window : $0.dataType == .bfloat16 || $0.cuSeqlens != nil
            }
            + cases(Problem.hostile, [attention]) {
                switch $0.numbers {
                case .someZeros: $0.mechanism != .power(degree: 3)
                case .normal(let magnitude): magnitude > 1 && $0.mechanism == .power(degree: 2) && $0.states
                case .aligned: $0.normalization == .sum
                default: false
                }
            }
    }
}

extension VerificationProblem {
    /// Every form that the problem has, the chunked one with every chunk size.
    package var variants: [Verification.Variant] {
        guard case .power = mechanism else { return [Verification.Variant(.attention)] }
        return [.automatic, .attention, .recurrent].map { Verification.Variant($0) }
            + chunkSizes.map { Verification.Variant(.chunked, chunkSize: $0) }
    }
}
