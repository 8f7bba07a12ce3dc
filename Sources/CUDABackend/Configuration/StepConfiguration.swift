import CUDARuntime
import Tensors

/// The tiles of `state/step.cu`: a block's slice of the state, in registers.
struct StepConfiguration: Sendable, Hashable {
    static let threads = 256

    /// Features of a block; blocks that share those of a head; threads that share a feature; numbers of a feature that a thread holds.
    let features, slices, columns, vector: Int
    /// Blocks that a multiprocessor shall hold at once: what the compiler may give a thread follows from it.
    let blocks: Int
    let sharedBytes: Int

    /// - Parameter dimension: how many features a state has.
    init(_ problem: KernelProblem, valueWidth: Int, dimension: Int) {
        vector = valueWidth.isMultiple(of: 4) ? 4 : 1
        var columns = 1
        while columns * vector < valueWidth { columns *= 2 }
        self.columns = columns
        let rows = Self.threads / columns
        let isDouble = problem.stepPrecision == .float64
        // What the blocks of a multiprocessor ask for at once, 80 KB or 48, keeps the memory busy while some compute, store or wait.
        blocks = isDouble ? 3 : 4
        let mostRows = min(columns, (isDouble ? 16 : 20) / vector)
        // Slices are as equal as whole rows of threads can be.
        let allRows = (dimension + rows - 1) / rows
        slices = (allRows + mostRows - 1) / mostRows
        features = (allRows + slices - 1) / slices * rows
        let sums = Self.threads * max(vector, 2), held = (features + 31) / 32 * 32
        sharedBytes = (sums + 2 * held) * (isDouble ? 8 : 4) + (columns * vector + 2 * problem.width) * 4
    }

    var macros: [(String, Int)] { [("FEATURES", features), ("COLUMNS", columns), ("VECTOR", vector), ("BLOCKS", blocks)] }
}

extension KernelProblem {
    /// Products with the state in float32, or in float64 where a state of few keys cancels to less than the digits of the inputs: that of
    /// float32 inputs, and of degree 4.
    var stepPrecision: Precision { dataType == .float32 || degree == 4 ? .float64 : .tf32 }

    func step(_ tiles: StepConfiguration) -> KernelSource {
        KernelSource(
            "state/step.cu", "state_step",
            macros: [
                ("INPUT", dataType.kernelInput), ("MATH", stepPrecision.rawValue), ("DEGREE", degree),
                normalizationMacro, ("WIDTH", width),
            ] + tiles.macros)
    }
}
