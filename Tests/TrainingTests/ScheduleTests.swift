import Testing

import Training

@Suite struct LearningRateScheduleTests {
    @Test func hasTheValuesOfItsFormula() {
        let schedule = LearningRateSchedule(peak: 2, minimum: 0.2, warmupSteps: 4, steps: 12)
        #expect(schedule.rate(at: 1) == 0.5)
        #expect(schedule.rate(at: 2) == 1)
        #expect(schedule.rate(at: 4) == 2)
        #expect(abs(schedule.rate(at: 6) - (0.2 + 1.8 * (1 + 0.5.squareRoot()) / 2)) < 1e-15)
        #expect(abs(schedule.rate(at: 8) - 1.1) < 1e-15)
        #expect(schedule.rate(at: 12) == 0.2)
        #expect(schedule.rate(at: 1000) == 0.2)
    }

    @Test func neverRisesAfterTheWarmUp() {
        let schedule = LearningRateSchedule(peak: 1e-3, minimum: 1e-4, warmupSteps: 7, steps: 100)
        for step in 7..<110 { #expect(schedule.rate(at: step + 1) <= schedule.rate(at: step)) }
    }

    @Test(arguments: [(0, 10), (10, 10), (20, 10), (0, 1)])
    func isFiniteForAnyWarmUp(warmupSteps: Int, steps: Int) {
        let schedule = LearningRateSchedule(peak: 1, minimum: 0.1, warmupSteps: warmupSteps, steps: steps)
        for step in 1...30 { #expect((0...1).contains(schedule.rate(at: step))) }
    }
}
