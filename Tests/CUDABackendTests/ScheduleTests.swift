import CUDABackend
import Testing

/// The order in which blocks take tiles.
struct ScheduleTests {
    private let schedule = Schedule([0..<250, 250..<310], chunkSize: 100)

    @Test func everyTokenIsInOneTile() {
        for tiles in [schedule.tiles(of: 64), schedule.queryTiles(of: 64), schedule.keyTiles(of: 64)] {
            #expect(tiles.flatMap { Int($0.x)..<Int($0.x + $0.y) }.sorted() == Array(0..<310))
            #expect(tiles.allSatisfy { schedule.chunks[Int($0.z)].x == $0.w })
        }
    }

    /// States come from the first chunk on, and the last queries of a chunk see the most keys.
    @Test func queriesFollowTheStates() {
        #expect(schedule.queryTiles(of: 64).map(\.z) == [0, 0, 1, 1, 2, 3])
        #expect(schedule.queryTiles(of: 64).map(\.x) == [64, 0, 164, 100, 200, 250])
    }

    /// Gradients of states come from the last chunk of a sequence on, and the most queries see the first keys of a chunk.
    @Test func keysFollowTheGradientsOfStates() {
        #expect(schedule.keyTiles(of: 64).map(\.z) == [2, 1, 1, 0, 0, 3])
        #expect(schedule.keyTiles(of: 64).map(\.x) == [200, 100, 164, 0, 64, 250])
    }
}
