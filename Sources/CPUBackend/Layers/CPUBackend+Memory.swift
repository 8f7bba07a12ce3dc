import BackendInterface
import Foundation
package import Tensors

extension CPUBackend: LayerKernels {
    package var activationType: DataType? { nil }
    package var columnAlignment: Int { 1 }

    package func uninitialized(_ shape: [Int], _ dataType: DataType) -> Tensor { Tensor(uninitialized: shape, dataType) }

    package func place(_ host: Tensor) -> Tensor { host }

    package func zero(_ x: inout Tensor) {
        let (bytes, count, run) = (x.uniqueStorage(), x.storage.byteCount, 1 << 18)
        parallelFor((count + run - 1) / run) { index in
            memset(bytes.pointer + index * run, 0, min(run, count - index * run))
        }
    }

    /// The other tensor takes this one's place where it has all of its rows.
    package func setRows(_ x: inout Tensor, from first: Int, to rows: Tensor) {
        guard rows.shape != x.shape else { return x = rows }
        let rowBytes = x.storage.byteCount / x.shape[0]
        (x.uniqueStorage().pointer + first * rowBytes).copyMemory(from: rows.storage.pointer, byteCount: rows.storage.byteCount)
    }

    package func setColumns(_ x: inout Tensor, _ columns: Range<Int>, to given: Tensor) {
        let (size, width, stride) = (x.dataType.byteCount, given.shape[1], x.shape[1])
        let (source, target) = (given.storage, x.uniqueStorage())
        for row in 0..<x.shape[0] {
            let place = target.pointer + (row * stride + columns.lowerBound) * size
            place.copyMemory(from: source.pointer + row * width * size, byteCount: width * size)
            (place + width * size).initializeMemory(as: UInt8.self, repeating: 0, count: (columns.count - width) * size)
        }
    }
}
