import Foundation

/// The mapping from values to places along an axis: 0 at the start of the domain, 1 at its end.
package struct Scale: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case linear
        /// Equal ratios are equal lengths; ticks stand at powers of the base.
        case logarithmic(base: Int)
    }

    package let kind: Kind
    package let domain: ClosedRange<Double>

    /// A scale over `domain`, widened where it is empty.
    ///
    /// - Precondition: the bounds are finite, and positive for a logarithmic scale.
    package init(_ kind: Kind, _ domain: ClosedRange<Double>) {
        precondition(domain.lowerBound.isFinite && domain.upperBound.isFinite, "an infinite domain")
        self.kind = kind
        switch kind {
        case .linear:
            let widened = max(abs(domain.lowerBound), 1)
            self.domain = domain.lowerBound < domain.upperBound ? domain : domain.lowerBound...domain.lowerBound + widened
        case .logarithmic:
            precondition(domain.lowerBound > 0, "a logarithmic domain from \(domain.lowerBound)")
            self.domain = domain.lowerBound < domain.upperBound ? domain : domain.lowerBound...domain.lowerBound * 2
        }
    }

    /// Where `value` stands; below 0 or above 1 outside of the domain. Values that a logarithm does not have stand at −∞.
    package func position(_ value: Double) -> Double {
        switch kind {
        case .linear:
            (value - domain.lowerBound) / (domain.upperBound - domain.lowerBound)
        case .logarithmic:
            value > 0 ? (log(value) - log(domain.lowerBound)) / (log(domain.upperBound) - log(domain.lowerBound)) : -.infinity
        }
    }

    /// The value at a place: the inverse of ``position(_:)``.
    package func value(_ position: Double) -> Double {
        switch kind {
        case .linear: domain.lowerBound + position * (domain.upperBound - domain.lowerBound)
        case .logarithmic: exp(log(domain.lowerBound) * (1 - position) + log(domain.upperBound) * position)
        }
    }
}

extension Scale {
    /// About `count` round values inside the domain, in increasing order: multiples of 1, 2 or 5 times a power of ten, or
    /// powers of the base of a logarithmic scale. A logarithmic domain of less than two powers is ticked as a linear one.
    package func ticks(about count: Int = 6) -> [Double] {
        let slack = (domain.upperBound - domain.lowerBound) * 1e-9
        switch kind {
        case .linear:
            let step = Self.step(domain, count)
            let first = (domain.lowerBound / step - 1e-9).rounded(.up)
            let last = (domain.upperBound / step + 1e-9).rounded(.down)
            return first <= last ? stride(from: first, through: last, by: 1).map { $0 * step + 0 } : []
        case .logarithmic(let base):
            let power = log(Double(base))
            let first = Int((log(domain.lowerBound) / power - 1e-9).rounded(.up))
            let last = Int((log(domain.upperBound) / power + 1e-9).rounded(.down))
            guard last > first else { return Scale(.linear, domain).ticks(about: count) }
            let stride = max(1, Int((Double(last - first) / Double(max(count, 1))).rounded(.up)))
            let exponents = Swift.stride(from: first, through: last, by: stride)
            let factors = base == 10 && last - first <= count / 3 ? [1.0, 2, 5] : [1.0]
            return exponents.flatMap { exponent in factors.map { pow(Double(base), Double(exponent)) * $0 } }
                .filter { $0 >= domain.lowerBound - slack && $0 <= domain.upperBound + slack }
        }
    }

    /// The distance of the ticks of a linear scale: the round number nearest to the width of the domain over `count`.
    static func step(_ domain: ClosedRange<Double>, _ count: Int) -> Double {
        let raw = (domain.upperBound - domain.lowerBound) / Double(max(count, 1))
        let magnitude = pow(10, log10(raw).rounded(.down))
        let factor = [1.0, 2, 5, 10].min { abs(log($0 * magnitude / raw)) < abs(log($1 * magnitude / raw)) } ?? 1
        return factor * magnitude
    }

    /// A linear scale with a little room around the values.
    package static func around(_ values: ClosedRange<Double>) -> Scale {
        let room = max((values.upperBound - values.lowerBound) * 0.04, 1e-3)
        return Scale(.linear, values.lowerBound - room...values.upperBound + room)
    }
}
