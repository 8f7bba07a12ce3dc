import CUDABackend
import Testing

/// The order in which blocks take tiles.
struct ScheduleTests {
    private let schedule = Schedule([0..<250, 250..<310], chunkSize: 100)

    @Test func everyTokenIsInOneTile() {
        let queryTiles = [(64, 64), (192, 64), (48, 16)].map { schedule.queryTiles(of: $0, step: $1) }
        for tiles in queryTiles + [schedule.tiles(of: 64), schedule.keyTiles(of: 64)] {
            #expect(tiles.flatMap { Int($0.x)..<Int($0.x + $0.y) }.sorted() == Array(0..<310))
            #expect(tiles.allSatisfy { schedule.chunks[Int($0.z)].x == $0.w })
        }
    }

    /// States come from the first chunk on, and the last queries of a chunk see the most keys.
    @Test func queriesFollowTheStates() {
        #expect(schedule.queryTiles(of: 64, step: 64).map(\.z) == [0, 0, 1, 1, 2, 3])
        #expect(schedule.queryTiles(of: 64, step: 64).map(\.x) == [64, 0, 164, 100, 200, 250])
    }

    /// What is left of whole tiles comes first in a chunk, in whole steps, but for the last tokens.
    @Test(arguments: [
        (1024, 192, 64, [64, 192, 192, 192, 192, 192]), (1000, 192, 64, [64, 192, 192, 192, 192, 168]),
        (960, 192, 64, [192, 192, 192, 192, 192]), (700, 192, 64, [128, 192, 192, 188]), (40, 192, 64, [40]),
        (150, 64, 64, [64, 64, 22]),
    ])
    func queriesWithFewKeysAreLeft(_ count: Int, _ size: Int, _ step: Int, _ expected: [Int32]) {
        let tiles = Schedule([0..<count], chunkSize: count).queryTiles(of: size, step: step)
        #expect(tiles.reversed().map(\.y) == expected)
    }

    /// Gradients of states come from the last chunk of a sequence on, and the most queries see the first keys of a chunk.
    @Test func keysFollowTheGradientsOfStates() {
        #expect(schedule.keyTiles(of: 64).map(\.z) == [2, 1, 1, 0, 0, 3])
        #expect(schedule.keyTiles(of: 64).map(\.x) == [200, 100, 164, 0, 64, 250])
    }
}
