import BackendInterface
import CUDABackend
import CUDARuntime
import LanguageModel
import PowerAttention
import Tensors
import Testing

/// Whole models on a card against the same models in float64 on the CPU.
///
/// With activations in float32 only the order of sums differs, and what the operator's own kernels leave out: 10⁻⁴.
///
/// In bfloat16 parameters are numbers of that type, so that both compute with the same. Every activation and every gradient of one is
/// rounded, by 2⁻⁹ of itself at most and 1.2·2⁻¹⁰ in the mean square, some ten times on the way through a block and back. Those errors are
/// independent: √40 · 1.1·10⁻³, about 1%, where nothing cancels. A power of degree p multiplies the error of a score by p, and scores of
/// random inputs cancel: 2.5% + 1.25% · p. The gradients of vectors are sums over rows that cancel once more: twice that.
@Suite(.serialized, .enabled(if: (try? CUDABackend.shared().layers()) != nil)) struct DeviceModelTests {
    /// - Parameter draws: of parameters and tokens; the median of a gradient's errors counts.
    private func check(
        _ configuration: ModelConfiguration, activations: DataType = .bfloat16, recomputes: Bool = false, draws: Int = 1
    ) throws {
        let isExact = activations == .float32
        let degree = if case .power(let degree) = configuration.mixer { Double(degree) } else { 1.0 }
        let limit = isExact ? 1e-4 : 0.025 + 0.0125 * degree
        var errors: [[Double]] = []
        var parameters: [Parameter] = []
        for draw in 0..<UInt64(draws) {
            var generator = RandomGenerator(seed: 22 + draw)
            let double = try LanguageModel(configuration, seed: 5 + draw, dataType: .float64)
            let layers = try CUDALayers(CUDABackend.shared().context, activations: activations, library: .system())
            let card = try LanguageModel(configuration, seed: 5 + draw, device: .cuda, kernels: layers)
            card.recomputesBlocks = recomputes
            double.perturb(&generator, deviation: 0.05)
            for (a, b) in zip(card.parameters, double.parameters) {
                let rounded = b.value.converted(to: .bfloat16)
                try a.load(rounded.converted(to: .float32))
                b.value = rounded.converted(to: .float64)
            }
            let batch = Batch(2, 40, vocabulary: configuration.vocabularySize, &generator)
            let loss = try batch.accumulate(double)
            #expect(abs(try batch.accumulate(card) / loss - 1) < (isExact ? 1e-6 : 2e-3))
            #expect(abs(try batch.meanLoss(card) / loss - 1) < (isExact ? 1e-6 : 2e-3))
            errors.append(
                try zip(card.parameters, double.parameters).map { a, b in
                    relativeError(doubles(try a.gradient.onHost()), doubles(b.gradient))
                })
            parameters = card.parameters
        }
        for (index, parameter) in parameters.enumerated() {
            let error = errors.map { $0[index] }.sorted()[draws / 2]
            #expect(error < (parameter.decays || isExact ? limit : 2 * limit), "\(parameter.name): \(error)")
        }
    }

    private func configuration(mixer: Mixer, gated: Bool) -> ModelConfiguration {
        ModelConfiguration(
            vocabularySize: 31, layers: 2, width: 32, heads: 4, keyValueHeads: 2, mixer: mixer, gated: gated, chunkSize: 16)
    }

    @Test(arguments: SmallModels.mixers, [false, true])
    func everyMixer(mixer: Mixer, gated: Bool) throws {
        try check(configuration(mixer: mixer, gated: gated))
        try check(configuration(mixer: mixer, gated: gated), activations: .float32)
    }

    /// Heads that are projected and turned by one kernel.
    @Test func headsOf64() throws {
        try check(
            ModelConfiguration(
                vocabularySize: 31, layers: 1, width: 128, heads: 2, keyValueHeads: 1, mixer: .power(degree: 2), gated: true,
                chunkSize: 16))
    }

    @Test func everyLayer() throws {
        var configuration = configuration(mixer: .power(degree: 2), gated: true)
        configuration.mlp = .swiglu
        configuration.norm = .rmsNorm
        configuration.tiedEmbeddings = false
        configuration.biases = true
        try check(configuration, recomputes: true, draws: 5)
        try check(configuration, activations: .float32, recomputes: true)
    }

    /// Queries, keys and values of 64 columns stand beside one another without zeros between them.
    ///
    /// The normalizer of a query that is nearly orthogonal to its first keys is nearly zero, and rounding decides its gradients: of 24 draws
    /// of the ungated model of degree 2, 9 had a matrix beyond the limit.
    @Test(arguments: [Mixer.power(degree: 2), .power(degree: 3), .linear], [false, true])
    func wholeColumns(mixer: Mixer, gated: Bool) throws {
        var configuration = configuration(mixer: mixer, gated: gated)
        configuration.width = 64
        configuration.keyValueHeads = nil
        try check(configuration, draws: 9)
        try check(configuration, activations: .float32)
    }

    /// Tokens after a state, many at a time and one by one, are those of the same model in float64; a copy of the state goes its own way.
    @Test(arguments: SmallModels.mixers, [DataType.float32, .bfloat16])
    func decoding(mixer: Mixer, activations: DataType) throws {
        var configuration = configuration(mixer: mixer, gated: true)
        if case .exponential = mixer { configuration.gated = false }
        let double = try LanguageModel(configuration, seed: 5, dataType: .float64)
        let layers = try CUDALayers(CUDABackend.shared().context, activations: activations, library: .system())
        let card = try LanguageModel(configuration, seed: 5, device: .cuda, kernels: layers)
        for (a, b) in zip(card.parameters, double.parameters) {
            let rounded = b.value.converted(to: .bfloat16)
            try a.load(rounded.converted(to: .float32))
            b.value = rounded.converted(to: .float64)
        }
        let tokens = (0..<70).map { Int32(($0 * $0) % 31) }
        var (state, reference) = (try card.makeState(), try double.makeState())
        var copy = state
        let limit = activations == .float32 ? 1e-4 : 0.06
        for part in [tokens[..<65], tokens[65..<66], tokens[66..<69], tokens[69...]] {
            copy = state
            let logits = try card.advance(&state, Array(part))
            let error = relativeError(doubles(logits), doubles(try double.advance(&reference, Array(part))))
            #expect(logits.shape == [31] && error < limit, "\(part): \(error)")
            #expect(try card.advance(&copy, Array(part)).array(of: Float.self) == logits.array(of: Float.self))
        }
        #expect(state.tokens == 70)
        // The host takes no state of the card, which takes none of the host's keys and values.
        if case .exponential = mixer { return }
        let host = try LanguageModel(configuration, seed: 5)
        var hosts = try host.makeState()
        _ = try host.advance(&hosts, [1, 2])
        #expect(throws: PowerAttentionError.self) { try host.advance(&state, [1]) }
        #expect(throws: PowerAttentionError.self) { try card.advance(&hosts, [1]) }
    }

    /// Gradients that take the place of others have the bits of those that are added to zeros, whatever stood there.
    @Test(arguments: [false, true]) func overwrittenGradients(tied: Bool) throws {
        var configuration = configuration(mixer: .power(degree: 2), gated: true)
        configuration.tiedEmbeddings = tied
        let model = try LanguageModel(configuration, seed: 5, device: .cuda)
        var generator = RandomGenerator(seed: 3)
        let batch = Batch(2, 40, vocabulary: 31, &generator)
        func gradients() throws -> [[Double]] {
            try batch.accumulate(model)
            return try model.parameters.map { doubles(try $0.gradient.onHost()) }
        }
        let expected = try gradients()
        try model.zeroGradients()
        for parameter in model.parameters where parameter.startsWithProduct {
            let count = parameter.value.count
            let nothing = Tensor(parameter.value.shape, [Float](repeating: .nan, count: count))
            try parameter.gradient.overwrite(with: nothing)
        }
        model.overwriteGradients()
        #expect(try gradients() == expected)
        // All matrices but the embedding's, which is one where it is the head's.
        let others = model.parameters.filter { !$0.startsWithProduct && $0.decays }.map(\.name)
        #expect(others == (tied ? [] : ["embedding.weight"]))
        #expect(model.parameters.allSatisfy { $0.decays || !$0.startsWithProduct })
    }

    /// What is computed again is the same to the bit, and so are two runs.
    @Test func recomputationChangesNoBit() throws {
        let configuration = configuration(mixer: .power(degree: 2), gated: true)
        func gradients(recomputes: Bool) throws -> [[Double]] {
            var generator = RandomGenerator(seed: 3)
            let model = try LanguageModel(configuration, seed: 5, device: .cuda)
            model.recomputesBlocks = recomputes
            try Batch(2, 40, vocabulary: 31, &generator).accumulate(model)
            return try model.parameters.map { doubles(try $0.gradient.onHost()) }
        }
        let kept = try gradients(recomputes: false)
        #expect(try gradients(recomputes: false) == kept)
        #expect(try gradients(recomputes: true) == kept)
    }
}
