import CPUBackend
import CUDABackend
import CUDARuntime
import Tensors
import Testing

/// The layers of the first card beside those of the CPU, with the same random inputs for both.
struct CardLayers {
    let layers: CUDALayers
    let host = CPUBackend()
    var generator = RandomGenerator(seed: 77)
    let type: DataType

    static let types: [DataType] = [.float32, .bfloat16]
    static let multipliesByTiles = (try? CardLayers(.bfloat16))?.layers.multipliesByTiles(width: 64) ?? false
    static let isAvailable = (try? CUDABackend.shared().layers()) != nil

    init(_ type: DataType) throws {
        self.type = type
        layers = try CUDALayers(CUDABackend.shared().context, activations: type, library: .system())
    }

    /// A tensor on the card, and one of float64 in host memory, with the same numbers.
    struct Pair {
        var card, host: Tensor
    }

    mutating func random(_ shape: [Int], _ dataType: DataType? = nil, scale: Double = 1) -> Pair {
        let rounded = generator.normal(shape, .float32, scale: scale).converted(to: dataType ?? type)
        guard let card = try? layers.place(rounded) else { preconditionFailure("the card has no room for a test") }
        return Pair(card: card, host: rounded.converted(to: .float64))
    }

    var tolerance: Double { type == .float32 ? 1e-5 : 0x1p-8 }

    func expect(_ card: Tensor, _ host: Tensor, location: SourceLocation = #_sourceLocation) throws {
        #expect(card.shape == host.shape, sourceLocation: location)
        let error = relativeError(doubles(try card.onHost()), doubles(host))
        let limit = card.dataType == .float32 ? 1e-5 : tolerance
        #expect(error < limit, "\(error)", sourceLocation: location)
    }
}

/// The elements in float64.
func doubles(_ tensor: Tensor) -> [Double] { tensor.converted(to: .float64).array(of: Double.self) }

/// ‖x − y‖ / ‖y‖.
func relativeError(_ x: [Double], _ y: [Double]) -> Double {
    let difference = zip(x, y).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let norm = y.reduce(0) { $0 + $1 * $1 }
    return difference == 0 ? 0 : (difference / norm).squareRoot()
}
