import BackendInterface

/// The table of problems that every backend is measured on.
extension VerificationProblem {
    package static var table: [VerificationProblem] {
        degrees + widths + tiles + types + ragged + exponential + hostile + larger
    }

    private typealias Normalization = AttentionConfiguration.Normalization

    /// Every degree with every normalization that it has.
    private static let functions: [(degree: Int, normalization: Normalization)] = [
        (1, .none), (2, .sum), (2, .none), (3, .none), (4, .sum), (4, .none),
    ]

    private static func power(
        _ degree: Int, _ normalization: Normalization, _ shape: AttentionShape,
        _ change: (inout VerificationProblem) -> Void = { _ in }
    ) -> VerificationProblem {
        VerificationProblem(.power(degree: degree), shape, normalization: normalization).with(change)
    }

    /// Degrees, gates, group ratios, states in and out, and chunk sizes from one token to more than all.
    static var degrees: [VerificationProblem] {
        functions.flatMap { degree, normalization in
            [
                power(degree, normalization, AttentionShape(length: 130, heads: 2, width: 16)) {
                    $0.chunkSizes = [1, 7, 64, 128, 200]
                },
                power(degree, normalization, AttentionShape(batch: 2, length: 75, heads: 4, keyHeads: 2, width: 12)) {
                    $0.gates = .open
                    $0.states = true
                    $0.chunkSizes = [1, 7, 64, 128]
                },
                power(degree, normalization, AttentionShape(length: 150, heads: 3, keyHeads: 1, width: 8)) {
                    $0.gates = .open
                    $0.chunkSizes = [16, 64]
                },
            ]
        }
    }

    /// Widths of keys and values, even and odd, equal and not.
    static var widths: [VerificationProblem] {
        let widths: [(degree: Int, pairs: [(Int, Int)])] = [
            (1, [(1, 256), (64, 64), (256, 3)]),
            (2, [(1, 1), (3, 24), (24, 3), (32, 128), (64, 64), (96, 32), (128, 16), (256, 1), (16, 256)]),
            (3, [(1, 1), (3, 16), (24, 24), (32, 5)]),
            (4, [(1, 3), (3, 1), (16, 16), (24, 2)]),
        ]
        return widths.flatMap { degree, pairs in
            pairs.map { d, e in
                power(
                    degree, degree.isMultiple(of: 2) ? .sum : .none,
                    AttentionShape(length: 70, heads: 2, keyHeads: 1, width: d, valueWidth: e)
                ) {
                    $0.gates = .open
                    $0.states = d < 64
                    $0.chunkSizes = [32]
                }
            }
        }
    }

    /// Tiles from the symmetric power to the tensor power, and tiles that do not divide the width.
    static var tiles: [VerificationProblem] {
        let cases: [(degree: Int, width: Int, tiles: [Int])] = [
            (1, 16, [4]), (2, 32, [4, 8, 32]), (2, 30, [4, 8, 16]), (3, 16, [4, 8]), (3, 10, [3]), (4, 8, [2, 4, 8]),
            (4, 6, [4]),
        ]
        return cases.flatMap { degree, width, tiles in
            tiles.map { tile in
                power(
                    degree, degree.isMultiple(of: 2) ? .sum : .none,
                    AttentionShape(length: 50, heads: 2, keyHeads: 1, width: width, valueWidth: 9)
                ) {
                    $0.tile = tile
                    $0.gates = .open
                    $0.states = true
                    $0.chunkSizes = [16]
                }
            }
        }
    }

    /// 16-bit types, also where one weight dominates every row.
    static var types: [VerificationProblem] {
        let dominated = [DataType.bfloat16, .float16].flatMap { type in
            [(2, 2, Gates.none), (2, 64, .steep), (4, 2, .none), (4, 64, .steep)].map { degree, length, gates in
                power(degree, .sum, AttentionShape(length: length, heads: 2, width: degree == 2 ? 64 : 16)) {
                    $0.dataType = type
                    $0.gates = gates
                    $0.chunkSizes = [16]
                }
            }
                + [
                    VerificationProblem(.exponential(window: nil), AttentionShape(length: 64, heads: 2, width: 64))
                        .with {
                            $0.dataType = type
                            $0.gates = .steep
                        }
                ]
        }
        return dominated
            + [DataType.bfloat16, .float16].flatMap { type in
                functions.flatMap { degree, normalization in
                    [Gates.none, .open].map { gates in
                        power(degree, normalization, AttentionShape(length: 100, heads: 4, keyHeads: 2, width: 16)) {
                            $0.dataType = type
                            $0.gates = gates
                            $0.states = gates == .open
                            $0.chunkSizes = [32]
                        }
                    }
                }
            }
    }

    /// Packed batches, with sequences of no token and of one, and last chunks of every length.
    static var ragged: [VerificationProblem] {
        let shape = AttentionShape(length: 140, heads: 2, keyHeads: 1, width: 12, valueWidth: 10)
        let packed = functions.map { degree, normalization in
            power(degree, normalization, shape) {
                $0.cuSeqlens = [0, 1, 1, 65, 67, 131, 140]
                $0.gates = .open
                $0.states = true
                $0.chunkSizes = [1, 16, 64, 100]
            }
        }
        let lengths = [1, 2, 63, 64, 65, 127, 128, 129].map { length in
            power(2, .sum, AttentionShape(batch: 2, length: length, heads: 1, width: 8)) {
                $0.gates = .open
                $0.chunkSizes = [64]
            }
        }
        let nothing = [
            power(2, .sum, AttentionShape(length: 0, heads: 2, width: 8)) { $0.states = true },
            power(2, .sum, AttentionShape(batch: 0, length: 5, heads: 2, width: 8)),
        ]
        return packed + lengths + nothing
    }

    /// Softmax attention, with windows and gates.
    static var exponential: [VerificationProblem] {
        [nil, 1, 5, 64, 1000].flatMap { window in
            [Gates.none, .open, .closing].map { gates in
                VerificationProblem(
                    .exponential(window: window),
                    AttentionShape(batch: 2, length: 150, heads: 4, keyHeads: 2, width: 24, valueWidth: 20)
                ).with { $0.gates = gates }
            }
        }
            + [DataType.bfloat16, .float16].map { type in
                VerificationProblem(.exponential(window: 30), AttentionShape(length: 100, heads: 2, width: 32))
                    .with { $0.dataType = type }
            }
            + [
                VerificationProblem(.exponential(window: nil), AttentionShape(length: 90, heads: 2, width: 256)),
                VerificationProblem(.exponential(window: nil), AttentionShape(length: 70, heads: 2, width: 16))
                    .with { $0.cuSeqlens = [0, 64, 64, 65, 70] },
                VerificationProblem(.exponential(window: nil), AttentionShape(length: 90, heads: 1, width: 16))
                    .with { $0.numbers = .normal(magnitude: 3) },
            ]
    }

    /// Zeros, huge and tiny numbers, closed gates.
    static var hostile: [VerificationProblem] {
        let shape = AttentionShape(length: 100, heads: 2, keyHeads: 1, width: 8)
        let zeros = [Numbers.zeroQueries, .zeroKeys, .zeroValues, .someZeros].flatMap { numbers in
            [(2, Normalization.sum), (3, .none)].map { degree, normalization in
                power(degree, normalization, shape) { $0.numbers = numbers }
            }
                + [VerificationProblem(.exponential(window: nil), shape).with { $0.numbers = numbers }]
        }
        let sizes = [2, 4].flatMap { degree in
            [1e8, 1e-12].flatMap { magnitude in
                [false, true].map { states in
                    power(degree, .sum, shape) {
                        $0.numbers = .normal(magnitude: magnitude)
                        $0.gates = .open
                        $0.states = states
                    }
                }
            }
        }
        let uneven = [2, 4].map { degree in
            power(degree, .sum, shape) { $0.numbers = .uneven(spread: 2) }
        }
        let closing = functions.map { degree, normalization in
            power(degree, normalization, shape) {
                $0.gates = .closing
                $0.numbers = degree == 4 ? .aligned : .normal(magnitude: 1)
                $0.states = true
                $0.chunkSizes = [1, 16, 64]
            }
        }
        let orthogonal = [2, 4].flatMap { degree in
            [Gates.none, .closing].map { gates in
                power(degree, .sum, shape) {
                    $0.numbers = .orthogonal
                    $0.gates = gates
                    $0.chunkSizes = [16, 64]
                }
            }
        }
        return zeros + sizes + uneven + closing + orthogonal
    }
}
