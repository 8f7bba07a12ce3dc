import BackendInterface
import Tensors

/// How the kernels multiply, by the type of the inputs. Sums are in float32 or better throughout.
///
/// | inputs | products | relative error of a product |
/// |---|---|---|
/// | bfloat16 | bfloat16 | 2⁻⁹, as the inputs' own rounding |
/// | float16 | TF32, whose range has no overflow | 2⁻¹² |
/// | float32 | three TF32 products of numbers split in two | 2⁻²² |
/// | float32, degree 4 | float64 | that of the features, 2⁻⁵³ |
///
/// At degree 4 the features of a query and a state of few keys cancel to a thousandth and less of their size, so that float32 keeps
/// too few digits.
enum Precision: Int, Sendable, Hashable {
    case bfloat16 = 0
    case tf32 = 1
    case splitTF32 = 2
    case float64 = 3

    init(_ dataType: DataType, degree: Int?) {
        switch dataType {
        case .bfloat16: self = .bfloat16
        case .float16: self = .tf32
        default: self = degree == 4 ? .float64 : .splitTF32
        }
    }

    /// Bytes of a number in scratch memory.
    var elementBytes: Int { self == .bfloat16 ? 2 : 4 }
    /// Bytes of a sum.
    var accumulatorBytes: Int { self == .float64 ? 8 : 4 }
}

extension DataType {
    /// The macro INPUT of the kernels.
    var kernelInput: Int {
        switch self {
        case .float16: 1
        case .bfloat16: 2
        default: 0
        }
    }
}
