package import BackendInterface
package import CUDARuntime
package import Tensors

/// Kernels to be compiled ahead: those that people need first, every family in every precision and the shapes of common models, or those of given
/// shapes.
package enum KernelTable {
    /// What kernels are compiled for, at eight heads and sequences of a few thousand tokens.
    package struct Shape: Sendable {
        let mechanism: AttentionConfiguration.Mechanism
        let width, valueWidth: Int
        let dataType: DataType
        let isGated: Bool

        package init(
            _ mechanism: AttentionConfiguration.Mechanism, width: Int, valueWidth: Int, _ dataType: DataType, isGated: Bool
        ) {
            self.mechanism = mechanism
            self.width = width
            self.valueWidth = valueWidth
            self.dataType = dataType
            self.isGated = isGated
        }
    }

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
                entries.append(
                    try entry(Shape(mechanism, width: width, valueWidth: width, type, isGated: true), limits))
            }
        }
        for type in [DataType.bfloat16, .float32] {
            entries.append(Entry(name: "layers, \(type)", sources: try LayerSources.all(type, limits)))
        }
        return entries
    }

    /// The kernels of the operator, forward and backward, with states.
    package static func entry(_ shape: Shape, _ limits: CardLimits) throws(PowerAttentionError) -> Entry {
        let (mechanism, width, type) = (shape.mechanism, shape.width, shape.dataType)
        let problem = AttentionProblem(
            mechanism: mechanism, normalization: mechanism.defaultNormalization, form: .chunked, scale: 1, chunkSize: 1024,
            tile: 1, sequences: [0..<4096], tokenCount: 4096, queryHeads: 8, keyHeads: 8, keyWidth: width,
            valueWidth: shape.valueWidth)
        let kernels = KernelProblem(problem, dataType: type, isGated: shape.isGated)
        let isPower = problem.degree != nil
        let attention = try AttentionKernels(
            kernels, states: .init(queries: isPower, keys: isPower), fewTokens: false, work: StateWork(problem), limits: limits
        )
        var sources = attention.sources(backward: true, movesState: isPower)
        if let power = problem.expansion {
            sources.append(attention.measureMagnitudes)
            sources.append(kernels.step(StepConfiguration(kernels, valueWidth: shape.valueWidth, dimension: power.dimension)))
        }
        let name = isPower ? "p = \(kernels.degree)" : "exponential"
        let widths = width == shape.valueWidth ? "d = e = \(width)" : "d = \(width), e = \(shape.valueWidth)"
        return Entry(name: "\(name), \(type), \(widths)\(shape.isGated ? "" : ", no gates")", sources: sources)
    }
}
