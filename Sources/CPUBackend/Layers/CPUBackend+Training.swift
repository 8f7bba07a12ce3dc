package import BackendInterface
import CKernels
import Foundation
package import Tensors

extension CPUBackend {
    package func crossEntropy(_ logits: inout Tensor, columns: Int, targets: Tensor, gradientScale: Double?) -> Tensor {
        let (type, width) = (logits.dataType.kernelCode, logits.rowWidth)
        precondition(columns == width, "rows of logits are as long as the vocabulary on the host")
        var losses = Tensor(uninitialized: [targets.count], logits.dataType)
        // Without a gradient the kernel only reads: logits that another tensor shares need no copy.
        let scores = gradientScale == nil ? logits.storage : logits.uniqueStorage()
        let output = losses.uniqueStorage()
        let chosen = targets.storage
        RowPartition(rows: targets.count, width: width).forEach { _, first, end in
            cross_entropy(
                type, scores.pointer, chosen.tokens, output.pointer, gradientScale == nil ? 0 : 1, gradientScale ?? 0, first,
                end,
                width)
        }
        return losses
    }

    package func sumOfSquares(_ x: Tensor) -> Double {
        let type = x.dataType.kernelCode
        let runs = RowPartition(rows: x.count)
        var sums = Tensor(uninitialized: [runs.count], .float64)
        let (source, output) = (x.storage, Shared(sums.mutablePointer(to: Double.self)))
        runs.forEach { run, first, end in output.pointer[run] = sum_of_squares(type, source.pointer, first, end) }
        return sums.array(of: Double.self).reduce(0, +)
    }

    package func adamW(
        _ value: inout Tensor, gradient: Tensor, firstMoment: inout Tensor, secondMoment: inout Tensor, step: AdamWStep
    ) {
        let type = value.dataType.kernelCode
        let source = gradient.storage
        let (output, first, second) = (
            value.uniqueStorage(), firstMoment.uniqueStorage(), secondMoment.uniqueStorage()
        )
        let corrections = (
            first: 1 / (1 - pow(step.beta1, Double(step.step))), second: 1 / (1 - pow(step.beta2, Double(step.step)))
        )
        RowPartition(rows: value.count).forEach { _, begin, end in
            adamw(
                type, output.pointer, source.pointer, first.pointer, second.pointer, begin, end, step.gradientScale,
                step.learningRate, step.weightDecay, step.beta1, step.beta2, step.epsilon, corrections.first,
                corrections.second)
        }
    }
}

extension CPUBackend: OptimizerKernels {}
