import BackendInterface
import Foundation
package import Tensors

/// Cosines and sines of the angles `position · base^(−2i/d)` by which rotary positions turn the pair `i` of a head (Su et al.
/// 2021): `[length, d/2]` for consecutive positions.
package struct RotaryPositions {
    package let cosines, sines: Tensor

    /// - Complexity: O(length · d).
    package init(_ positions: Range<Int>, headWidth: Int, base: Double, _ dataType: DataType) {
        let half = headWidth / 2
        let frequencies = (0..<half).map { pow(base, -2 * Double($0) / Double(headWidth)) }
        var cosines = Tensor(uninitialized: [positions.count, half], .float64)
        var sines = Tensor(uninitialized: [positions.count, half], .float64)
        let (cosine, sine) = (Shared(cosines.mutablePointer(to: Double.self)), Shared(sines.mutablePointer(to: Double.self)))
        let run = 1024
        parallelFor((positions.count + run - 1) / run) { index in
            for row in index * run..<min(positions.count, (index + 1) * run) {
                for (i, frequency) in frequencies.enumerated() {
                    let angle = Double(positions.lowerBound + row) * frequency
                    cosine.pointer[row * half + i] = cos(angle)
                    sine.pointer[row * half + i] = sin(angle)
                }
            }
        }
        self.cosines = cosines.converted(to: dataType)
        self.sines = sines.converted(to: dataType)
    }

    private init(cosines: Tensor, sines: Tensor) {
        self.cosines = cosines
        self.sines = sines
    }

    /// The same where the kernels compute.
    func placed(by kernels: any LayerKernels) throws(PowerAttentionError) -> RotaryPositions {
        RotaryPositions(cosines: try kernels.place(cosines), sines: try kernels.place(sines))
    }
}
