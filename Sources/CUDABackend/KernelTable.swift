import BackendInterface
package import CUDARuntime
package import Tensors

/// The kernels that people need first, to be compiled ahead: every family in every precision, and the shapes of common models.
package enum KernelTable {
    package struct Entry: Sendable {
        package let name: String
        package let sources: [KernelSource]
    }

    package static func entries(_ limits: CardLimits) throws(PowerAttentionError) -> [Entry] {
        var entries: [Entry] = []
        for type in [DataType.bfloat16, .float16, .float32] {
            for (mechanism, width) in [
                (AttentionConfiguration.Mechanism.power(degree: 2), 64), (.power(degree: 2), 96), (.power(degree: 2), 128),
                (.power(degree: 2), 256), (.power(degree: 1), 64), (.power(degree: 1), 128), (.power(degree: 3), 32),
                (.power(degree: 4), 16), (.exponential(window: nil), 64), (.exponential(window: nil), 128),
            ] {
                entries.append(try entry(mechanism, width, type, limits))
            }
        }
        for type in [DataType.bfloat16, .float32] {
            entries.append(Entry(name: "layers, \(type)", sources: try LayerSources.all(type)))
        }
        return entries
    }

    private static func entry(
        _ mechanism: AttentionConfiguration.Mechanism, _ width: Int, _ type: DataType, _ limits: CardLimits
    ) throws(PowerAttentionError) -> Entry {
        let problem = AttentionProblem(
            mechanism: mechanism, normalization: mechanism.defaultNormalization, form: .chunked, scale: 1, chunkSize: 1024,
            tile: 1,
            sequences: [0..<4096], tokenCount: 4096, queryHeads: 8, keyHeads: 8, keyWidth: width, valueWidth: width)
        let kernels = KernelProblem(problem, dataType: type, isGated: true)
        let isPower = problem.degree != nil
        let attention = try AttentionKernels(
            kernels, states: .init(queries: isPower, keys: isPower), fewTokens: false, work: StateWork(problem), limits: limits
        )
        var sources = attention.sources(backward: true, movesState: isPower)
        if let power = problem.expansion {
            sources.append(attention.measureMagnitudes)
            sources.append(kernels.step(StepConfiguration(kernels, valueWidth: width, dimension: power.dimension)))
        }
        let name = isPower ? "p = \(kernels.degree)" : "exponential"
        return Entry(name: "\(name), \(type), d = e = \(width)", sources: sources)
    }
}
