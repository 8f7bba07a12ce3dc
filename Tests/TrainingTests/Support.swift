import Foundation
import LanguageModel
import Logging
import Tensors

import Training

/// Tokens in memory.
struct ArraySource: TokenSource {
    let tokens: [Int32]
    var tokenCount: Int { tokens.count }
    var documents: [Range<Int>] { [0..<tokens.count] }
    func tokens(in range: Range<Int>) throws(PowerAttentionError) -> [Int32] { Array(tokens[range]) }
}

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension TrainingData {
    /// Two documents of text with some structure, and one held out.
    static var sample: TrainingData {
        var generator = RandomGenerator(seed: 5)
        var tokens: [Int32] = []
        for index in 0..<3000 { tokens.append(Int32((index * index) % 17) + Int32(generator.next() % 3)) }
        return TrainingData(ArraySource(tokens: tokens), training: [0..<1500, 1500..<2400], heldOut: [2400..<3000])
    }
}

extension RunConfiguration {
    /// A run of seconds: a model with a few thousand weights, six steps.
    static var sample: RunConfiguration {
        var configuration = RunConfiguration()
        configuration.model.vocabularySize = 32
        configuration.model.layers = 1
        configuration.model.width = 16
        configuration.training.steps = 6
        configuration.training.batchSize = 4
        configuration.training.accumulation = 2
        configuration.training.context = 24
        configuration.training.warmupSteps = 2
        configuration.training.checkpointInterval = 3
        configuration.training.evaluationInterval = 2
        configuration.training.evaluationWindows = 3
        configuration.training.skipLimit = 0
        return configuration
    }
}

extension Tensor {
    /// The checksum of the elements, for comparisons that allow no difference.
    var bits: String {
        withExtendedLifetime(self) {
            Checksum.bytes(UnsafeRawBufferPointer(start: pointer(to: UInt8.self), count: count * dataType.byteCount))
        }
    }
}
