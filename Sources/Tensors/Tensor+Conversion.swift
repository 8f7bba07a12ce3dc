import CKernels

extension Tensor {
    /// The same values in another floating-point type: widened exactly, or rounded to nearest-even.
    ///
    /// - Precondition: both types are floating-point.
    /// - Complexity: O(n); free where the type is the same.
    public func converted(to target: DataType) -> Tensor {
        guard target != dataType else { return self }
        precondition(dataType.isFloatingPoint && target.isFloatingPoint, "conversion from \(dataType) to \(target)")
        var result = Tensor(uninitialized: shape, target)
        let destination = result.mutablePointer(to: UInt8.self)
        convert_elements(storage.pointer, dataType.kernelCode, destination, target.kernelCode, count)
        return result
    }

    /// The same rows, and zeros after them: `rows` rows in all, or the tensor itself where it has as many.
    ///
    /// - Complexity: O(n) of the result; free where nothing is added.
    package func padded(toRows rows: Int) -> Tensor {
        guard rows > shape[0] else { return self }
        var result = Tensor([rows] + shape.dropFirst(), dataType)
        result.mutablePointer(to: UInt8.self).update(
            from: storage.pointer.assumingMemoryBound(to: UInt8.self), count: storage.byteCount)
        return result
    }
}

extension DataType {
    /// The number by which the C kernels know this type.
    package var kernelCode: Int32 {
        switch self {
        case .float64: 0
        case .float32: 1
        case .float16: 2
        case .bfloat16: 3
        case .int64, .int32, .uint16, .uint8: preconditionFailure("\(self) has no arithmetic")
        }
    }
}
