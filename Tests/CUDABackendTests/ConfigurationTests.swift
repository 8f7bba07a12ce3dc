import BackendInterface
import CUDABackend
import CUDARuntime
import Tensors
import Testing

/// Every problem that the operator takes has kernels that fit on every card.
@Suite struct ConfigurationTests {
    static let architectures = ["sm_80", "sm_86", "sm_90a", "sm_100a", "sm_120a"]

    static func problem(_ mechanism: AttentionConfiguration.Mechanism, _ d: Int, _ e: Int) -> AttentionProblem {
        AttentionProblem(
            mechanism: mechanism, normalization: mechanism.defaultNormalization, form: .chunked, scale: 1, chunkSize: 64,
            tile: 1, sequences: [0..<256], tokenCount: 256, queryHeads: 2, keyHeads: 1, keyWidth: d, valueWidth: e)
    }

    @Test(arguments: architectures, [DataType.bfloat16, .float16, .float32])
    func tilesFit(_ architecture: String, _ type: DataType) throws {
        let limits = CardLimits(architecture: architecture)
        for mechanism in [AttentionConfiguration.Mechanism.exponential(window: nil)] + (1...4).map({ .power(degree: $0) }) {
            for d in [1, 16, 17, 64, 96, 128, 200, 256] {
                for e in [1, 16, 24, 64, 128, 255, 256] {
                    for states in [true, false] where states == false || mechanism != .exponential(window: nil) {
                        let kernels = try AttentionKernels(
                            KernelProblem(Self.problem(mechanism, d, e), dataType: type, isGated: true),
                            states: .init(queries: states, keys: states), fewTokens: false,
                            work: StateWork(Self.problem(mechanism, d, e)), limits: limits)
                        #expect(!kernels.sources(backward: true, movesState: states).isEmpty)
                        check(kernels, limits.sharedBytes)
                    }
                }
            }
        }
    }

    /// Warpgroups multiply on Hopper, where rows are bfloat16 and no wider than 128.
    @Test(arguments: [
        ("sm_80", 64, 64, false), ("sm_90a", 64, 64, true), ("sm_90a", 128, 128, true), ("sm_90a", 256, 256, false),
        ("sm_90a", 64, 256, false), ("sm_100a", 64, 64, false),
    ])
    func hopperServesWhatItCan(_ architecture: String, _ d: Int, _ e: Int, _ isHopper: Bool) throws {
        for type in [DataType.bfloat16, .float32] {
            let paths = try Self.paths(2, d, e, type, architecture)
            for path in Self.hopperPaths { #expect(paths.contains(path) == (isHopper && type == .bfloat16), "\(path)") }
        }
    }

    /// Whatever the widths up to there: none falls back to kernels that take three times as long and more.
    @Test(arguments: 1...4)
    func hopperServesAllWidths(_ degree: Int) throws {
        let widths = [8, 16, 40, 48, 64, 72, 80, 96, 112, 128]
        for d in widths {
            for e in widths {
                let paths = try Self.paths(degree, d, e, .bfloat16, "sm_90a")
                for path in Self.hopperPaths { #expect(paths.contains(path), "\(path), d = \(d), e = \(e)") }
            }
        }
    }

    private static let hopperPaths = ["forward", "backward_queries", "backward_keys", "state_update"].map { "hopper/\($0).cu" }

    /// The files of the kernels that serve a problem.
    private static func paths(
        _ degree: Int, _ d: Int, _ e: Int, _ type: DataType, _ architecture: String
    ) throws -> Set<String> {
        let problem = problem(.power(degree: degree), d, e)
        let kernels = try AttentionKernels(
            KernelProblem(problem, dataType: type, isGated: true), states: .init(queries: true, keys: true), fewTokens: false,
            work: StateWork(problem), limits: CardLimits(architecture: architecture))
        return Set(kernels.sources(backward: true, movesState: true).map(\.path))
    }

    /// Chunks are summed one by one where walks would leave most multiprocessors of an H100 idle: (degree, d, query heads, key heads, chunk
    /// size), 65,536 tokens.
    @Test(arguments: [
        (2, 64, 8, 8, 1024, false), (2, 128, 8, 8, 1024, false), (3, 32, 8, 8, 1024, false), (2, 64, 24, 2, 512, true),
        (2, 64, 1, 1, 1024, true), (1, 64, 8, 8, 256, true), (1, 128, 8, 8, 256, true), (2, 64, 1, 1, 65_536, false),
    ])
    func chunksAreSummedWhereWalksAreFew(
        _ degree: Int, _ width: Int, _ queryHeads: Int, _ keyHeads: Int, _ chunkSize: Int, _ isSplit: Bool
    ) throws {
        let tokens = 65_536
        let problem = AttentionProblem(
            mechanism: .power(degree: degree), normalization: .none, form: .chunked, scale: 1, chunkSize: chunkSize, tile: 1,
            sequences: [0..<tokens], tokenCount: tokens, queryHeads: queryHeads, keyHeads: keyHeads, keyWidth: width,
            valueWidth: width)
        let kernels = try AttentionKernels(
            KernelProblem(problem, dataType: .bfloat16, isGated: true), states: .init(queries: true, keys: true),
            fewTokens: false, work: StateWork(problem), limits: CardLimits(architecture: "sm_90a"))
        for backward in [false, true] {
            let sources = kernels.sources(backward: backward, movesState: true)
            #expect(sources.count { $0.path == "state/scan.cu" } == (isSplit ? (backward ? 2 : 1) : 0))
        }
    }

    /// What makes a walk longer and leaves more multiprocessors to what reads the states, a third warpgroup, or eight tiles for two, is for walks that
    /// are not waited for, on an H100: (degree, d, e, heads, sequences of 65,536 tokens), (warpgroups of the walk, and in reverse).
    @Test(arguments: [
        ((2, 64, 64, 8, 1), (2, 3)), ((2, 64, 64, 4, 1), (1, 1)), ((2, 64, 64, 12, 1), (3, 3)), ((2, 64, 64, 8, 4), (3, 3)),
        ((2, 128, 128, 8, 1), (2, 2)), ((3, 32, 32, 8, 1), (3, 3)), ((4, 16, 16, 8, 1), (3, 2)), ((4, 48, 16, 8, 1), (2, 2)),
    ])
    func longWalksAreThoseThatAreNotWaitedFor(_ shape: (Int, Int, Int, Int, Int), _ groups: (forward: Int, reverse: Int)) throws
    {
        let (degree, width, valueWidth, heads, sequences) = shape
        let problem = AttentionProblem(
            mechanism: .power(degree: degree), normalization: .none, form: .chunked, scale: 1, chunkSize: 768, tile: 1,
            sequences: (0..<sequences).map { $0 * 65_536..<($0 + 1) * 65_536 }, tokenCount: sequences * 65_536,
            queryHeads: heads, keyHeads: heads, keyWidth: width, valueWidth: valueWidth)
        let kernels = try AttentionKernels(
            KernelProblem(problem, dataType: .bfloat16, isGated: true), states: .init(queries: true, keys: true),
            fewTokens: false, work: StateWork(problem), limits: CardLimits(architecture: "sm_90a"))
        let walks = kernels.sources(backward: true, movesState: true).filter { $0.path == "hopper/state_update.cu" }
        func macro(_ name: String, _ walk: KernelSource) -> Int? { walk.macros.first { $0.name == name }?.value }
        #expect(walks.count == 2)
        for walk in walks {
            let expected = macro("REVERSE", walk) == 1 ? groups.reverse : groups.forward
            #expect(macro("GROUPS", walk) == expected, "\(walk)")
            #expect((macro("TILES", walk) == 8) == (degree == 4 && width == 16 && expected == 2), "\(walk)")
        }
    }

    /// Tiles of twice the queries share the work for a state, where they leave no multiprocessor idle.
    @Test(arguments: [(4, 16, false, 2), (4, 16, true, 1), (3, 32, false, 2), (3, 64, false, 1), (2, 32, false, 1)])
    func fewQueriesHaveOneSetOfRows(_ degree: Int, _ width: Int, _ fewTokens: Bool, _ sets: Int) throws {
        let problem = Self.problem(.power(degree: degree), width, width)
        let kernels = try AttentionKernels(
            KernelProblem(problem, dataType: .bfloat16, isGated: true), states: .init(queries: true, keys: true),
            fewTokens: fewTokens, work: StateWork(problem), limits: CardLimits(architecture: "sm_90a"))
        let forward = try #require(
            kernels.sources(backward: false, movesState: false).first { $0.path == "hopper/forward.cu" })
        #expect(forward.macros.first { $0.name == "ROW_SETS" }?.value == sets)
    }

    /// Every pair of factors stands once in a state, those of one group of 16, at 64 columns and values of one group of eight, in both orders; sums of a second window of columns wait in shared memory.
    @Test(arguments: [
        (1, 64, 64), (1, 128, 64), (2, 16, 128), (2, 64, 64), (2, 64, 128), (2, 96, 64), (2, 48, 80), (2, 128, 128),
    ])
    func symmetricStatesHaveOneOrder(_ degree: Int, _ d: Int, _ e: Int) throws {
        let layout = try #require(SymmetricStateLayout(degree: degree, width: d, valueWidth: e))
        let size = d == 64 && e <= 64 ? 8 : 16, groups = d / size, panels = (d + 63) / 64
        let pairs = degree == 1 ? d : (1...groups).reduce(0) { $0 + size * size * $1 }
        let columns = (e + 63) / 64 * 64
        #expect(layout.numbers == pairs * columns + 64 * panels * (degree == 1 ? 16 : d))
        #expect(layout.waitingSums == (degree == 1 ? 0 : 64 * (panels - 1)))
    }

    /// What the kernels assert when they are compiled, and that their tiles fit in shared memory.
    private func check(_ kernels: AttentionKernels, _ limit: Int) {
        for source in kernels.sources(backward: true, movesState: true) {
            let macros = Dictionary(uniqueKeysWithValues: source.macros.map { ($0.name, $0.value) })
            guard let warps = macros["WARPS"] else { continue }
            let rows = warps * 16 * (macros["ROW_TILES"] ?? 1)
            for name in ["KEYS", "QUERIES"] {
                if let keys = macros[name] { #expect(rows.isMultiple(of: keys) && keys <= warps * 32, "\(source)") }
            }
            for (tile, width) in [("WIDTH_TILE", "WIDTH"), ("VALUE_TILE", "VALUE_WIDTH")] {
                if let tile = macros[tile], let width = macros[width] { #expect(width.isMultiple(of: tile), "\(source)") }
            }
        }
        #expect(kernels.sharedBytes.allSatisfy { $0 <= limit })
    }

    @Test func shapesAreTheGivenOnes() throws {
        let limits = CardLimits(architecture: "sm_90a")
        let shape = KernelTable.Shape(.power(degree: 2), width: 48, valueWidth: 80, .bfloat16, isGated: false)
        let entry = try KernelTable.entry(shape, limits)
        #expect(entry.name == "p = 2, bfloat16, d = 48, e = 80, no gates")
        let keys = try #require(entry.sources.first { $0.path == "hopper/backward_keys.cu" })
        let macros = Dictionary(uniqueKeysWithValues: keys.macros.map { ($0.name, $0.value) })
        #expect([macros["DEGREE"], macros["WIDTH"], macros["VALUE_WIDTH"], macros["GATED"]] == [2, 48, 80, 0])
    }

    @Test func tableNamesEveryFamily() throws {
        let entries = try KernelTable.entries(CardLimits(architecture: "sm_90a"))
        let functions = Set(entries.flatMap(\.sources).map(\.function))
        #expect(
            functions.isSuperset(of: [
                "attention_forward", "attention_backward_queries", "attention_backward_keys", "state_update", "state_step",
                "convert_inputs", "gate_gradients", "gate_sums", "measure_inputs",
            ]))
    }
}
