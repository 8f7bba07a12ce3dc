package import Tensors

/// Where the parameters of a model come from while its layers are put together: a random start, or a checkpoint.
package final class ParameterSource {
    /// How a parameter starts.
    package enum Start: Sendable, Hashable {
        case constant(Double)
        case normal(deviation: Double)
    }

    /// All parameters so far, in the order of the layers.
    package private(set) var parameters: [Parameter] = []
    private let value: (_ name: String, _ shape: [Int], Start) throws(PowerAttentionError) -> Tensor

    init(_ value: @escaping (_ name: String, _ shape: [Int], Start) throws(PowerAttentionError) -> Tensor) {
        self.value = value
    }

    /// Random numbers in the order of the layers: the same seed gives the same bits on every machine.
    package static func random(seed: UInt64, _ dataType: DataType) -> ParameterSource {
        var generator = RandomGenerator(seed: seed)
        return ParameterSource { (_, shape, start) throws(PowerAttentionError) in
            switch start {
            case .normal(let deviation): generator.normal(shape, dataType, scale: deviation)
            case .constant(let number): Tensor(filled: number, shape, dataType)
            }
        }
    }

    package func make(_ name: String, _ shape: [Int], _ start: Start, decays: Bool) throws(PowerAttentionError) -> Parameter {
        let parameter = Parameter(name: name, value: try value(name, shape, start), decays: decays)
        parameters.append(parameter)
        return parameter
    }
}

extension Tensor {
    /// A tensor whose elements are all `number`.
    init(filled number: Double, _ shape: [Int], _ dataType: DataType) {
        let count = shape.reduce(1, *)
        self = Tensor(shape, [Double](repeating: number, count: count)).converted(to: dataType)
    }
}
