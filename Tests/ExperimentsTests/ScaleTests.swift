import Experiments
import Testing

@Suite struct ScaleTests {
    @Test(arguments: [
        (0.0, 10.0, 5, [0.0, 2, 4, 6, 8, 10]),
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1.83, 5.41, 5, [2, 3, 4, 5]),
        (0, 4.9152, 6, [0, 1, 2, 3, 4]),
        (-0.07, 0.16, 5, [-0.05, 0, 0.05, 0.1, 0.15]),
        (1e6, 3e6, 4, [1e6, 1.5e6, 2e6, 2.5e6, 3e6]),
    ])
    func linearTicksAreRoundNumbers(low: Double, high: Double, count: Int, expected: [Double]) {
        let ticks = Scale(.linear, low...high).ticks(about: count)
        #expect(ticks.count == expected.count, "\(ticks)")
        for (tick, value) in zip(ticks, expected) { #expect(abs(tick - value) < 1e-9 * (high - low)) }
    }

    @Test(arguments: [
        (2, 1.0, 1024.0, 8, [1.0, 4, 16, 64, 256, 1024]),
        (2, 1, 64, 8, [1, 2, 4, 8, 16, 32, 64]),
        (2, 1, 65536, 8, [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536]),
        (10, 1, 100, 6, [1, 2, 5, 10, 20, 50, 100]),
        (10, 1, 1e9, 6, [1, 100, 1e4, 1e6, 1e8]),
        (10, 0.5, 2e4, 6, [1, 10, 100, 1e3, 1e4]),
    ])
    func logarithmicTicksArePowers(base: Int, low: Double, high: Double, count: Int, expected: [Double]) {
        let ticks = Scale(.logarithmic(base: base), low...high).ticks(about: count)
        #expect(ticks.count == expected.count, "\(ticks)")
        for (tick, value) in zip(ticks, expected) { #expect(abs(tick / value - 1) < 1e-9) }
    }

    @Test func narrowLogarithmicDomainHasLinearTicks() {
        #expect(Scale(.logarithmic(base: 10), 2...8).ticks(about: 6) == [2, 3, 4, 5, 6, 7, 8])
    }

    @Test(arguments: [Scale.Kind.linear, .logarithmic(base: 10)], [(0.001, 0.0012), (1, 2), (3, 5e14), (1e-200, 1e200)])
    func everyDomainHasFewTicksInsideAndPositionInvertsValue(kind: Scale.Kind, bounds: (Double, Double)) {
        let scale = Scale(kind, bounds.0...bounds.1)
        let ticks = scale.ticks()
        #expect((2...14).contains(ticks.count), "\(ticks)")
        #expect(ticks == ticks.sorted())
        for tick in ticks { #expect((-1e-6...1 + 1e-6).contains(scale.position(tick))) }
        for place in [0, 0.25, 0.5, 1] { #expect(abs(scale.position(scale.value(place)) - place) < 1e-9) }
    }

    @Test func positions() {
        #expect(Scale(.linear, 2...4).position(3) == 0.5)
        #expect(Scale(.linear, 2...4).position(1) == -0.5)
        #expect(abs(Scale(.logarithmic(base: 2), 1...1024).position(32) - 0.5) < 1e-12)
        #expect(Scale(.logarithmic(base: 2), 1...1024).position(0) == -.infinity)
    }

    @Test func emptyDomainIsWidened() {
        #expect(Scale(.linear, 3...3).position(3) == 0)
        #expect(Scale(.linear, 0...0).ticks().count > 1)
        #expect(Scale(.logarithmic(base: 2), 1...1).position(2) == 1)
        #expect(Scale.around(2...2).position(2) == 0.5)
    }

    @Test func axisDividesByItsUnit() {
        let axis = Axis("training tokens (millions)", Scale(.linear, 0...4_915_200), divisor: 1e6)
        #expect(axis.ticks.map(\.label) == ["0", "1", "2", "3", "4"])
        #expect(axis.ticks.map(\.value) == [0, 1e6, 2e6, 3e6, 4e6])
    }

    @Test func axisInAnotherUnitKeepsTheScale() {
        let axis = Axis("bits per byte", of: Scale(.linear, 0...2), ticks: 4, unit: 0.5)
        #expect(axis.ticks.map(\.label) == ["0", "1", "2", "3", "4"])
        #expect(axis.ticks.map(\.value) == [0, 0.5, 1, 1.5, 2])
    }
}
