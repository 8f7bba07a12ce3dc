import BackendInterface
import CPUBackend
import CUDABackend
import CUDARuntime
import Tensors
import Testing

/// Every layer kernel of the card against the CPU's in float64, on the same rounded inputs.
///
/// In float32 only the order of sums and elementary functions differ: 10⁻⁵. In bfloat16 a result is rounded once, by at most 2⁻⁹ of itself:
/// 2⁻⁸ leaves room for the second rounding of numbers that were kept in between. Parameters' gradients are float32 in both.
@Suite(.serialized, .enabled(if: CardLayers.isAvailable)) struct LayerAgreementTests {
    @Test(arguments: CardLayers.types, [(5, 33, 17), (64, 48, 40)])
    func products(type: DataType, extents: (Int, Int, Int)) throws {
        var card = try CardLayers(type)
        let (m, n, k) = extents
        for (transposeA, transposeB) in [(false, false), (true, false), (false, true), (true, true)] {
            let a = card.random(transposeA ? [k, m] : [m, k])
            let b = card.random(transposeB ? [n, k] : [k, n])
            for outputType in [type, .float32] {
                var c = card.random([m, n], outputType)
                for accumulate in [false, true] {
                    // What others hold stays as it is, whether the sum takes its place or stands beside it.
                    let (held, before) = (accumulate ? c.card : nil, try c.card.onHost())
                    try card.layers.multiply(
                        a.card, transposeA: transposeA, b.card, transposeB: transposeB, into: &c.card, accumulate: accumulate)
                    card.host.multiply(
                        a.host, transposeA: transposeA, b.host, transposeB: transposeB, into: &c.host, accumulate: accumulate)
                    try card.expect(c.card, c.host)
                    if let held { #expect(doubles(try held.onHost()) == doubles(before)) }
                    c.host = try c.card.onHost().converted(to: .float64)
                }
            }
        }
    }

    /// Rows of logits are longer than the vocabulary: what stands behind is neither read nor written.
    @Test(arguments: CardLayers.types) func paddedProducts(type: DataType) throws {
        var card = try CardLayers(type)
        let (x, w) = (card.random([6, 16]), card.random([11, 16]))
        var logits = try card.layers.place(Tensor([6, 24], type))
        try card.layers.multiply(x.card, transposeA: false, w.card, transposeB: true, into: &logits, accumulate: false)
        var expected = Tensor([6, 11], .float64)
        card.host.multiply(x.host, transposeA: false, w.host, transposeB: true, into: &expected, accumulate: false)
        let numbers = doubles(try logits.onHost())
        let rows = (0..<6).map { Array(numbers[$0 * 24..<$0 * 24 + 24]) }
        #expect(rows.allSatisfy { $0[11...].allSatisfy { $0 == 0 } })
        let kept = Tensor([6, 11], rows.flatMap { $0.prefix(11) })
        #expect(relativeError(doubles(kept), doubles(expected)) < card.tolerance)

        var gradient = try card.layers.place(Tensor([6, 16], type))
        try card.layers.multiply(logits, transposeA: false, w.card, transposeB: false, into: &gradient, accumulate: false)
        var expectedGradient = Tensor([6, 16], .float64)
        card.host.multiply(kept, transposeA: false, w.host, transposeB: false, into: &expectedGradient, accumulate: false)
        try card.expect(gradient, expectedGradient)
        var weights = try card.layers.place(Tensor([11, 16], .float32))
        try card.layers.multiply(logits, transposeA: true, x.card, transposeB: false, into: &weights, accumulate: true)
        var expectedWeights = Tensor([11, 16], .float64)
        card.host.multiply(kept, transposeA: true, x.host, transposeB: false, into: &expectedWeights, accumulate: false)
        try card.expect(weights, expectedWeights)
    }

    @Test(arguments: CardLayers.types, [7, 72, 768, 2048]) func norms(type: DataType, width: Int) throws {
        for isCentered in [false, true] { try checkNorm(type, width: width, isCentered: isCentered) }
    }

    private func checkNorm(_ type: DataType, width: Int, isCentered: Bool) throws {
        var card = try CardLayers(type)
        let rows = width == 72 ? 150 : 9
        let x = card.random([rows, width])
        let (weight, bias) = (card.random([width], .float32), card.random([width], .float32))
        let (y, statistics) =
            isCentered
            ? try card.layers.layerNorm(x.card, weight: weight.card, bias: bias.card)
            : try card.layers.rmsNorm(x.card, weight: weight.card)
        let (hostY, hostStatistics) =
            isCentered
            ? card.host.layerNorm(x.host, weight: weight.host, bias: bias.host)
            : card.host.rmsNorm(x.host, weight: weight.host)
        try card.expect(y, hostY)

        let gradient = card.random([rows, width])
        for accumulate in [false, true] {
            var input = card.random([rows, width])
            var (weightGradient, biasGradient) = (card.random([width], .float32), card.random([width], .float32))
            if isCentered {
                try card.layers.layerNormBackward(
                    x.card, weight: weight.card, statistics: statistics, gradient: gradient.card, into: &input.card,
                    accumulate: accumulate, weightGradient: &weightGradient.card, biasGradient: &biasGradient.card)
                card.host.layerNormBackward(
                    x.host, weight: weight.host, statistics: hostStatistics, gradient: gradient.host, into: &input.host,
                    accumulate: accumulate, weightGradient: &weightGradient.host, biasGradient: &biasGradient.host)
                try card.expect(biasGradient.card, biasGradient.host)
            } else {
                try card.layers.rmsNormBackward(
                    x.card, weight: weight.card, statistics: statistics, gradient: gradient.card, into: &input.card,
                    accumulate: accumulate, weightGradient: &weightGradient.card)
                card.host.rmsNormBackward(
                    x.host, weight: weight.host, statistics: hostStatistics, gradient: gradient.host, into: &input.host,
                    accumulate: accumulate, weightGradient: &weightGradient.host)
            }
            try card.expect(input.card, input.host)
            try card.expect(weightGradient.card, weightGradient.host)
        }
    }

    @Test(arguments: CardLayers.types, [3, 40]) func activations(type: DataType, width: Int) throws {
        var card = try CardLayers(type)
        let x = card.random([37, 2 * width])
        try card.expect(card.layers.gelu(x.card), card.host.gelu(x.host))
        var gradient = card.random([37, 2 * width])
        try card.layers.geluBackward(x.card, gradient: &gradient.card)
        card.host.geluBackward(x.host, gradient: &gradient.host)
        try card.expect(gradient.card, gradient.host)

        try card.expect(card.layers.swiglu(x.card), card.host.swiglu(x.host))
        let outer = card.random([37, width])
        try card.expect(
            card.layers.swigluBackward(x.card, gradient: outer.card), card.host.swigluBackward(x.host, gradient: outer.host))
    }

    @Test(arguments: CardLayers.types, [5, 24]) func fusedActivations(type: DataType, width: Int) throws {
        var card = try CardLayers(type)
        let (x, weight) = (card.random([37, 16]), card.random([width, 16], scale: 0.3))
        let (fused, separate) = (
            try card.layers.multiplyGELU(x.card, weight: weight.card), try card.host.multiplyGELU(x.host, weight: weight.host)
        )
        try card.expect(fused.hidden, separate.hidden)
        try card.expect(fused.activated, separate.activated)
        // What goes back is that of the rounded units.
        let hidden = try fused.hidden.onHost().converted(to: .float64)
        let (gradient, back) = (card.random([37, 16]), card.random([16, width]))
        try card.expect(
            card.layers.multiplyGELUBackward(gradient.card, weight: back.card, hidden: fused.hidden),
            card.host.multiplyGELUBackward(gradient.host, weight: back.host, hidden: hidden))
    }

    /// On Hopper what is kept of the hidden units are slopes, in bytes: what goes back is held against the units themselves.
    @Test(arguments: [(100, 40, 24), (200, 72, 264), (128, 128, 512)])
    func fusedActivationsOfManyRows(rows: Int, width: Int, hiddenWidth: Int) throws {
        var card = try CardLayers(.bfloat16)
        let (x, weight) = (card.random([rows, width]), card.random([hiddenWidth, width], scale: 0.3))
        let (fused, separate) = (
            try card.layers.multiplyGELU(x.card, weight: weight.card), try card.host.multiplyGELU(x.host, weight: weight.host)
        )
        #expect((fused.hidden.dataType == .uint8) == card.layers.multipliesByTiles(width: width, hiddenWidth))
        try card.expect(fused.activated, separate.activated)
        let (gradient, back) = (card.random([rows, width]), card.random([width, hiddenWidth]))
        try card.expect(
            card.layers.multiplyGELUBackward(gradient.card, weight: back.card, hidden: fused.hidden),
            card.host.multiplyGELUBackward(gradient.host, weight: back.host, hidden: separate.hidden))
    }

    @Test(arguments: CardLayers.types, [3, 16]) func rows(type: DataType, half: Int) throws {
        var card = try CardLayers(type)
        let width = 3 * 2 * half
        var x = card.random([20, width])
        let (cosines, sines) = (card.random([10, half], .float32), card.random([10, half], .float32))
        for inverse in [false, true] {
            try card.layers.rotate(&x.card, cosines: cosines.card, sines: sines.card, inverse: inverse)
            card.host.rotate(&x.host, cosines: cosines.host, sines: sines.host, inverse: inverse)
            try card.expect(x.card, x.host)
            x.host = try x.card.onHost().converted(to: .float64)
        }
        // A head of three threads is not measured.
        let magnitudes = try card.layers.rotateMeasuring(&x.card, cosines: cosines.card, sines: sines.card)
        card.host.rotate(&x.host, cosines: cosines.host, sines: sines.host, inverse: false)
        try card.expect(x.card, x.host)
        x.host = try x.card.onHost().converted(to: .float64)
        #expect((magnitudes == nil) == (half == 3))
        if let magnitudes {
            let numbers = doubles(x.host).map(abs)
            let heads = stride(from: 0, to: numbers.count, by: 2 * half)
            let expected = heads.map { numbers[$0..<$0 + 2 * half].reduce(0, max) }
            #expect(magnitudes.shape == [20, 3])
            #expect(doubles(try magnitudes.onHost()) == expected)
        }
        let bias = card.random([width], .float32)
        try card.layers.addBias(&x.card, bias: bias.card)
        card.host.addBias(&x.host, bias: bias.host)
        try card.expect(x.card, x.host)
        x.host = try x.card.onHost().converted(to: .float64)
        var biasGradient = card.random([width], .float32)
        try card.layers.addBiasBackward(gradient: x.card, from: 0, biasGradient: &biasGradient.card)
        card.host.addBiasBackward(gradient: x.host, from: 0, biasGradient: &biasGradient.host)
        try card.expect(biasGradient.card, biasGradient.host)
    }

    /// Rows that are joined of several tensors' rows: what is turned or copied stands in its columns, zeros behind it, and the other columns stay.
    @Test(arguments: CardLayers.types, [(3, 18, 1), (16, 96, 8)])
    func columns(type: DataType, extents: (half: Int, width: Int, alignment: Int)) throws {
        var card = try CardLayers(type)
        let (half, width, alignment) = extents
        let x = card.random([20, width])
        let (cosines, sines) = (card.random([10, half], .float32), card.random([10, half], .float32))
        for padding in [0, 2 * alignment] {
            let columns = alignment..<alignment + width + padding
            var (turned, copied) = (card.random([20, width + 4 * alignment]), card.random([20, width + 4 * alignment]))
            try card.layers.rotate(
                x.card, into: &turned.card, columns, cosines: cosines.card, sines: sines.card, inverse: true)
            try card.host.rotate(
                x.host, into: &turned.host, columns, cosines: cosines.host, sines: sines.host, inverse: true)
            try card.expect(turned.card, turned.host)
            try card.layers.setColumns(&copied.card, columns, to: x.card)
            card.host.setColumns(&copied.host, columns, to: x.host)
            #expect(doubles(try copied.card.onHost()) == doubles(copied.host))
            // Few columns, as gates are.
            let few = card.random([20, 3])
            try card.layers.setColumns(&copied.card, columns, to: few.card)
            card.host.setColumns(&copied.host, columns, to: few.host)
            #expect(doubles(try copied.card.onHost()) == doubles(copied.host))

            var biasGradient = card.random([width], .float32)
            try card.layers.addBiasBackward(gradient: copied.card, from: alignment, biasGradient: &biasGradient.card)
            card.host.addBiasBackward(gradient: copied.host, from: alignment, biasGradient: &biasGradient.host)
            try card.expect(biasGradient.card, biasGradient.host)
        }
    }

    @Test(arguments: CardLayers.types) func gates(type: DataType) throws {
        var card = try CardLayers(type)
        let (x, bias) = (card.random([50, 3], .float32, scale: 4), card.random([3], .float32, scale: 4))
        let y = try card.layers.logSigmoid(x.card, bias: bias.card)
        #expect(y.dataType == .float32)
        #expect(
            relativeError(doubles(try y.onHost()), doubles(card.host.logSigmoid(x.host, bias: bias.host))) < 1e-6)
        var gradient = card.random([50, 3], .float32)
        var biasGradient = card.random([3], .float32)
        try card.layers.logSigmoidBackward(
            x.card, bias: bias.card, gradient: &gradient.card, biasGradient: &biasGradient.card)
        card.host.logSigmoidBackward(
            x.host, bias: bias.host, gradient: &gradient.host, biasGradient: &biasGradient.host)
        #expect(gradient.card.dataType == type)
        try card.expect(gradient.card, gradient.host)
        try card.expect(biasGradient.card, biasGradient.host)
    }

    /// The gradient as columns of longer rows, zeros behind it; the other columns stay. More rows than two blocks a multiprocessor have threads
    /// for, and more columns than a block has.
    @Test(arguments: CardLayers.types, [(600, 1..<8), (9_000, 16..<80), (20, 8..<2_208)])
    func gateColumns(type: DataType, extents: (rows: Int, columns: Range<Int>)) throws {
        var card = try CardLayers(type)
        let (rows, columns) = extents
        let (x, gradient) = (card.random([rows, 3], .float32, scale: 4), card.random([rows, 3], .float32))
        let bias = card.random([3], .float32, scale: 4)
        var (target, biasGradient) = (card.random([rows, columns.upperBound + 8]), card.random([3], .float32))
        try card.layers.logSigmoidBackward(
            x.card, bias: bias.card, gradient: gradient.card, into: &target.card, columns, biasGradient: &biasGradient.card)
        try card.host.logSigmoidBackward(
            x.host, bias: bias.host, gradient: gradient.host, into: &target.host, columns, biasGradient: &biasGradient.host)
        try card.expect(target.card, target.host)
        try card.expect(biasGradient.card, biasGradient.host)
    }

    /// Few columns of a product, with logarithms that are taken at once: 12 gates and 20 of rows that are cut off, and a width for cuBLASLt.
    @Test(arguments: CardLayers.types, [(64, 12, 96), (37, 20, 32), (37, 3, 40)])
    func gateProjections(type: DataType, extents: (rows: Int, heads: Int, width: Int)) throws {
        var card = try CardLayers(type)
        let (rows, heads, width) = extents
        let (x, weight) = (card.random([rows, width]), card.random([64, width], scale: 0.3))
        let bias = card.random([heads], .float32, scale: 4)
        let (logarithms, projection) = try card.layers.projectGates(x.card, weight: weight.card, bias: bias.card)
        let expected = try card.host.projectGates(x.host, weight: weight.host.rows(0..<heads), bias: bias.host)
        try card.expect(projection, expected.projection)
        try card.expect(logarithms, expected.logarithms)
    }

    /// Tokens that come once, many times, within tiles of sorted places and across them; in the last case a warp sorts more than it asks for at
    /// a time.
    @Test(arguments: CardLayers.types, [(5, 24, 1500), (300, 5, 1500), (70_000, 24, 1500), (70_000, 8, 70_000)])
    func embedding(type: DataType, extents: (vocabulary: Int, width: Int, count: Int)) throws {
        let (vocabulary, width, count) = extents
        var card = try CardLayers(type)
        let table = card.random([vocabulary > 1000 ? 1000 : vocabulary, width])
        let limit = UInt64(table.host.shape[0])
        let tokens = (0..<count).map { index in index % 3 == 0 ? 2 : Int32(card.generator.next() % limit) }
        let placed = try card.layers.place(Tensor([count], tokens))
        let onHost = Tensor([count], tokens)
        let rows = try card.layers.embed(placed, table: table.card)
        #expect(doubles(try rows.onHost()) == doubles(card.host.embed(onHost, table: table.host)))

        let gradient = card.random([count, width])
        var tableGradient = card.random([vocabulary, width], .float32)
        try card.layers.embedBackward(placed, gradient: gradient.card, tableGradient: &tableGradient.card)
        card.host.embedBackward(onHost, gradient: gradient.host, tableGradient: &tableGradient.host)
        try card.expect(tableGradient.card, tableGradient.host)
    }

    /// The longest rows fill all quarters of what is kept of one.
    @Test(arguments: CardLayers.types, [(11, 11), (11, 64), (700, 704), (14_000, 14_016)])
    func crossEntropy(type: DataType, columns: (count: Int, stride: Int)) throws {
        var card = try CardLayers(type)
        let rows = 9
        var logits = card.random([rows, columns.count], scale: 3)
        let targets = (0..<rows).map { $0 == 4 ? -1 : Int32(card.generator.next() % UInt64(columns.count)) }
        // What stands behind the columns is not a number.
        let values = doubles(logits.host)
        let padded = (0..<rows).flatMap { row in
            values[row * columns.count..<(row + 1) * columns.count]
                + [Double](repeating: .nan, count: columns.stride - columns.count)
        }
        logits.card = try card.layers.place(Tensor([rows, columns.stride], padded).converted(to: type))
        let onCard = try card.layers.place(Tensor([rows], targets))
        let scored = try card.layers.crossEntropy(
            &logits.card, columns: columns.count, targets: onCard, gradientScale: nil)
        let expected = card.host.crossEntropy(
            &logits.host, columns: columns.count, targets: Tensor([rows], targets), gradientScale: 0.25)
        #expect(relativeError(doubles(try scored.onHost()), doubles(expected)) < 1e-5)
        let trained = try card.layers.crossEntropy(
            &logits.card, columns: columns.count, targets: onCard, gradientScale: 0.25)
        #expect(doubles(try trained.onHost()) == doubles(try scored.onHost()))
        let numbers = doubles(try logits.card.onHost())
        let kept = (0..<rows).flatMap { numbers[$0 * columns.stride..<$0 * columns.stride + columns.count] }
        #expect(relativeError(kept, doubles(logits.host)) < card.tolerance)
    }

    /// Queries, keys and values by one product: of tiles with heads of two kinds, of rows that are no whole tiles, of several sequences.
    @Test(
        .enabled(if: CardLayers.multipliesByTiles),
        arguments: [(heads: 3, keyHeads: 1, width: 72, rows: 150, length: 50), (4, 4, 640, 129, 129), (1, 1, 16, 65, 1)])
    func projectedHeads(shape: (heads: Int, keyHeads: Int, width: Int, rows: Int, length: Int)) throws {
        var card = try CardLayers(.bfloat16)
        let x = card.random([shape.rows, shape.width])
        let weight = card.random([64 * (shape.heads + 2 * shape.keyHeads) + 64, shape.width])
        let (cosines, sines) = (card.random([shape.length, 32], .float32), card.random([shape.length, 32], .float32))
        let projected = try #require(
            try card.layers.projectHeads(
                x.card, weight: weight.card, heads: shape.heads, keyHeads: shape.keyHeads, cosines: cosines.card,
                sines: sines.card))
        let magnitudes = try #require(projected.magnitudes)
        var first = 0
        for (result, sizes) in [
            (projected.q, magnitudes.queries), (projected.k, magnitudes.keys), (projected.v, nil),
        ] {
            let columns = result.shape[1]
            var expected = Tensor([shape.rows, columns], .float64)
            card.host.multiply(
                x.host, transposeA: false, weight.host.rows(first..<first + columns), transposeB: true, into: &expected,
                accumulate: false)
            first += columns
            if let sizes {
                card.host.rotate(&expected, cosines: cosines.host, sines: sines.host, inverse: false)
                let numbers = doubles(try result.onHost()).map(abs)
                let largest = stride(from: 0, to: numbers.count, by: 64).map { numbers[$0..<$0 + 64].reduce(0, max) }
                #expect(doubles(try sizes.onHost()) == largest)
            }
            try card.expect(result, expected)
        }
    }

    /// Losses and gradients by odds against those by logits in float64: of more rows and tokens than a tile, of widths that are no whole steps or
    /// more steps than a tile has pieces, with rows that are not scored.
    @Test(
        .enabled(if: CardLayers.multipliesByTiles),
        arguments: [(1, 11, 16), (150, 700, 72), (70, 300, 640), (300, 257, 64)])
    func targetOdds(rows: Int, vocabulary: Int, width: Int) throws {
        var card = try CardLayers(.bfloat16)
        let x = card.random([rows, width])
        let weight = card.random([vocabulary, width], scale: 3 / Double(width).squareRoot())
        let padded = try card.layers.place(
            weight.card.onHost().padded(toRows: CUDALayers.aligned(vocabulary)))
        let targets = (0..<rows).map { $0 % 7 == 4 ? -1 : Int32(card.generator.next() % UInt64(vocabulary)) }
        let onCard = try card.layers.place(Tensor([rows], targets))
        let scale = 0.25

        var logits = Tensor([rows, vocabulary], .float64)
        card.host.multiply(x.host, transposeA: false, weight.host, transposeB: true, into: &logits, accumulate: false)
        let losses = card.host.crossEntropy(
            &logits, columns: vocabulary, targets: Tensor([rows], targets), gradientScale: scale)
        var inputGradient = Tensor([rows, width], .float64)
        card.host.multiply(logits, transposeA: false, weight.host, transposeB: false, into: &inputGradient, accumulate: false)
        var weightGradient = Tensor([vocabulary, width], .float64)
        card.host.multiply(logits, transposeA: true, x.host, transposeB: false, into: &weightGradient, accumulate: false)

        let scored = try #require(
            try card.layers.targetOdds(x.card, weight: padded, vocabulary: vocabulary, targets: onCard, gradientScale: nil))
        #expect(scored.gradients == nil)
        let trained = try #require(
            try card.layers.targetOdds(x.card, weight: padded, vocabulary: vocabulary, targets: onCard, gradientScale: scale))
        #expect(doubles(try trained.losses.onHost()) == doubles(try scored.losses.onHost()))
        // Differences of logits are rounded by at most 2⁻¹¹ of themselves, which is what their odds err by: those that count are below 2⁴ bits.
        #expect(relativeError(doubles(try scored.losses.onHost()), doubles(losses)) < 0x1p-10)
        let odds = try #require(trained.gradients)
        var gradient = try card.layers.uninitialized([rows, width], .bfloat16)
        try card.layers.multiply(
            odds.odds, transposeA: false, padded, transposeB: false, into: &gradient, accumulate: false)
        try card.layers.finishOddsGradient(&gradient, odds, weight: padded)
        try card.expect(gradient, inputGradient)
        var sum = try card.layers.uninitialized([CUDALayers.aligned(vocabulary), width], .float32)
        try card.layers.multiply(odds.odds, transposeA: true, odds.scaled, transposeB: false, into: &sum, accumulate: false)
        try card.layers.addTargets(odds, weightGradient: &sum)
        let kept = Array(doubles(try sum.onHost()).prefix(vocabulary * width))
        #expect(relativeError(kept, doubles(weightGradient)) < card.tolerance)
    }

    /// A token that is far more likely than the target counts 2⁹⁶ times, and what is no number is none afterwards.
    @Test(.enabled(if: CardLayers.multipliesByTiles)) func extremeOdds() throws {
        let card = try CardLayers(.bfloat16)
        // Logits are 1, but that of token 5 is 200.
        let rows = (0..<64 * 8).map { $0 % 8 != 0 ? 0 : $0 == 5 * 8 ? 200.0 : 1 }
        let weight = try card.layers.place(Tensor([64, 8], rows).converted(to: .bfloat16))
        let firsts: [Double] = [1, 1, .nan, .infinity, -.infinity, .nan]
        let x = Tensor([6, 8], (0..<48).map { $0 % 8 == 0 ? firsts[$0 / 8] : 0 })
        let onCard = try card.layers.place(x.converted(to: .bfloat16))
        let targets = try card.layers.place(Tensor([6], [0, 5, 0, 5, 5, -1] as [Int32]))
        let result = try #require(
            try card.layers.targetOdds(onCard, weight: weight, vocabulary: 64, targets: targets, gradientScale: 1))
        let losses = doubles(try result.losses.onHost())
        #expect(losses[3].isNaN && losses[4].isNaN && losses[5] == 0)
        // A row that is not scored has no gradient, whatever stands there.
        let odds = try #require(result.gradients)
        var gradient = try card.layers.uninitialized([6, 8], .bfloat16)
        try card.layers.multiply(odds.odds, transposeA: false, weight, transposeB: false, into: &gradient, accumulate: false)
        try card.layers.finishOddsGradient(&gradient, odds, weight: weight)
        #expect(doubles(try gradient.onHost()).suffix(8).allSatisfy { $0 == 0 })
        #expect(doubles(try odds.scaled.onHost()).suffix(8).allSatisfy { $0 == 0 })
        #expect(abs(losses[0] - 96 * 0.6931471805599453) < 1e-3)
        #expect(losses[1] == 0)
        #expect(losses[2].isNaN)
    }
}
