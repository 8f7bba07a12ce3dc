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
