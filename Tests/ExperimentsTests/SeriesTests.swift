import Experiments
import Tensors
import Testing

@Suite struct SeriesTests {
    private func noisy(_ count: Int, seed: UInt64) -> Series {
        var generator = RandomGenerator(seed: seed)
        return Series("noise", (1...count).map { Series.Point(Double($0), generator.normal()) }, style: .init(.line))
    }

    @Test(arguments: [5, 100, 1499, 1500, 1501, 40_000], [Scale.Kind.linear, .logarithmic(base: 10)])
    func downsamplingKeepsTheExtremesAndTheEnds(count: Int, kind: Scale.Kind) {
        let series = noisy(count, seed: UInt64(count))
        let reduced = series.downsampled(to: 1500, along: Scale(kind, 1...Double(count)))
        let (before, after) = (series.points, reduced.points)
        #expect(after.count == count || (after.count <= 1500 && count > 1500))
        #expect(after.first == before.first && after.last == before.last)
        #expect(after.map(\.y).min() == before.map(\.y).min() && after.map(\.y).max() == before.map(\.y).max())
        #expect(zip(after, after.dropFirst()).allSatisfy { $0.x < $1.x })
        #expect(Set(after).isSubset(of: Set(before)))
    }

    @Test func everyStretchKeepsItsSpike() {
        let points = (0..<10_000).map { Series.Point(Double($0), $0.isMultiple(of: 1000) ? 5 : 1) }
        let reduced = Series("spikes", points, style: .init(.line)).downsampled(to: 200, along: Scale(.linear, 0...9999))
        #expect(reduced.points.count { $0.y == 5 } == 10)
    }

    @Test func pointsOutsideOfTheScaleDoNotTrap() {
        let points = (0..<100).map { Series.Point(Double($0) - 50, 1) }
        let reduced = Series("outside", points, style: .init(.line)).downsampled(
            to: 20, along: Scale(.logarithmic(base: 2), 1...9))
        #expect(reduced.points.count <= 20)
    }

    @Test func smoothingIsTheMeanOfTheNeighbours() {
        #expect(Series.smoothed([], radius: 2) == [])
        #expect(Series.smoothed([4, 2, 9], radius: 0) == [4, 2, 9])
        // The window is symmetric at the start and cut at the end.
        #expect(Series.smoothed([9, 3, 3, 6, 0], radius: 1) == [9, 5, 4, 3, 3])
        #expect(Series.smoothed([8, 4, 3, 2, 1, 0], radius: 2) == [8, 5, 3.6, 2, 1.5, 1])
    }
}
