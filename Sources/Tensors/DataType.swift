/// The element type of a ``Tensor``.
///
/// Arithmetic happens in `float32` (or `float64`, the type of the reference implementation); the 16-bit types are storage
/// types that are widened on the way in and rounded to nearest-even on the way out.
public enum DataType: String, Sendable, Hashable, CaseIterable, Codable {
    case float64, float32, float16, bfloat16
    case int64, int32, uint16, uint8

    /// The size of one element in bytes.
    public var byteCount: Int {
        switch self {
        case .float64, .int64: 8
        case .float32, .int32: 4
        case .float16, .bfloat16, .uint16: 2
        case .uint8: 1
        }
    }

    public var isFloatingPoint: Bool {
        switch self {
        case .float64, .float32, .float16, .bfloat16: true
        case .int64, .int32, .uint16, .uint8: false
        }
    }
}
