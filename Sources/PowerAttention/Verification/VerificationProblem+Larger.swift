import BackendInterface

extension VerificationProblem {
    /// Shapes as large as a float64 evaluation of all pairs allows in a second: several tiles of tokens, and the widths of heads
    /// that models have, which kernels for accelerators are cut for.
    static var larger: [VerificationProblem] {
        func power(
            _ degree: Int, _ dataType: DataType, length: Int, heads: Int = 2, keyHeads: Int = 1, width: Int,
            _ change: (inout VerificationProblem) -> Void = { _ in }
        ) -> VerificationProblem {
            VerificationProblem(
                .power(degree: degree), AttentionShape(length: length, heads: heads, keyHeads: keyHeads, width: width)
            ).with {
                $0.dataType = dataType
                $0.gates = .open
                $0.chunkSizes = [128]
                change(&$0)
            }
        }
        let powers = [
            power(2, .bfloat16, length: 600, heads: 4, keyHeads: 2, width: 64) { $0.chunkSizes = [128, 256] },
            power(2, .float16, length: 333, heads: 4, width: 64) { $0.states = true },
            power(2, .bfloat16, length: 320, width: 64) { $0.gates = .none },
            power(2, .float32, length: 300, width: 64) { $0.states = true },
            power(2, .bfloat16, length: 420, width: 64) { $0.cuSeqlens = [0, 100, 100, 357, 420] },
            power(2, .bfloat16, length: 300, width: 128),
            power(2, .float16, length: 300, width: 128) { $0.gates = .closing },
            power(2, .bfloat16, length: 150, heads: 4, keyHeads: 2, width: 128) {
                $0.normalization = .none
                $0.gates = .none
                $0.states = true
            },
            power(1, .bfloat16, length: 300, heads: 4, keyHeads: 2, width: 128) { $0.states = true },
            power(3, .float32, length: 300, width: 32),
            // So many heads that their states fill a card.
            power(3, .bfloat16, length: 200, heads: 4, keyHeads: 4, width: 32) { $0.states = true },
            // Rows so wide that few stages of them, and of states, have room.
            power(3, .bfloat16, length: 193, heads: 1, width: 128) { $0.chunkSizes = [192] },
            power(4, .bfloat16, length: 150, heads: 8, keyHeads: 8, width: 16) { $0.states = true },
            // So many queries that a kernel's warps take twice as many at once.
            power(4, .bfloat16, length: 450, heads: 90, keyHeads: 2, width: 16) { $0.chunkSizes = [400] },
            // So many heads that a card's blocks walk over the chunks three warpgroups at a time.
            power(2, .bfloat16, length: 200, heads: 32, keyHeads: 32, width: 64) { $0.chunkSizes = [64, 128] },
            power(2, .bfloat16, length: 100, heads: 32, keyHeads: 32, width: 32) {
                $0.tile = 4
                $0.states = true
                $0.chunkSizes = [32]
            },
        ]
        // Widths that are not multiples of 64, which kernels take in unequal parts, or of which one is the other's multiple; and such that a last
        // sixteen has few factors.
        let unevenWidths: [(degree: Int, d: Int, e: Int, gates: Gates, chunkSize: Int)] = [
            (1, 112, 96, .open, 64), (2, 80, 48, .open, 128), (2, 48, 80, .open, 64), (2, 96, 96, .none, 64),
            (2, 112, 112, .open, 64), (2, 128, 80, .open, 64), (2, 64, 64, .open, 64), (2, 96, 64, .none, 64),
            (2, 128, 64, .open, 64), (2, 48, 128, .open, 64), (2, 40, 64, .open, 64), (2, 24, 128, .open, 64),
            (2, 64, 128, .open, 64), (3, 48, 48, .open, 64), (4, 16, 80, .open, 64),
        ]
        let uneven = unevenWidths.map { degree, d, e, gates, chunkSize in
            power(degree, .bfloat16, length: 150, heads: 4, keyHeads: 2, width: d) {
                $0.shape.valueWidth = e
                $0.gates = gates
                $0.states = true
                $0.chunkSizes = [chunkSize]
            }
        }
        // So many chunks for so few heads that a card sums them one by one.
        let split = [(1, 32, false), (1, 32, true), (2, 32, false), (2, 32, true), (2, 64, true), (2, 60, true)].map {
            degree, width, states in
            power(degree, .bfloat16, length: 420, heads: 4, keyHeads: 2, width: width) {
                $0.cuSeqlens = [0, 100, 100, 357, 420]
                $0.gates = states ? .open : .closing
                $0.states = states
                $0.chunkSizes = [16]
            }
        }
        let exponentials: [(window: Int?, dataType: DataType, width: Int, gates: Gates)] = [
            (100, .bfloat16, 128, .none), (nil, .float16, 64, .none), (nil, .bfloat16, 64, .open), (100, .float32, 128, .open),
        ]
        // What a library may serve: sequences of one length without gates.
        let whole = [(2, 200, 4, 2, 64), (1, 420, 2, 1, 128), (2, 256, 2, 2, 64), (3, 129, 2, 2, 128)].map {
            batch, length, heads, keyHeads, width in
            VerificationProblem(
                .exponential(window: nil),
                AttentionShape(batch: batch, length: length, heads: heads, keyHeads: keyHeads, width: width)
            ).with { $0.dataType = .bfloat16 }
        }
        return powers + uneven + split + whole
            + exponentials.map { window, dataType, width, gates in
                VerificationProblem(
                    .exponential(window: window), AttentionShape(length: 300, heads: 2, keyHeads: 1, width: width)
                ).with {
                    $0.dataType = dataType
                    $0.gates = gates
                }
            }
    }
}
