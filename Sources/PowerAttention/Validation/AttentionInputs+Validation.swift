import BackendInterface
import Tensors

extension AttentionInputs {
    /// Checks shapes, types and the values of the gates.
    ///
    /// - Parameter accumulationTypes: the types that gates and states may have.
    func validatedExtents(accumulationTypes: [DataType]) throws(PowerAttentionError) -> AttentionExtents {
        try checkType(q, "q", [.float32, .float16, .bfloat16, .float64])
        try checkType(k, "k", [q.dataType])
        try checkType(v, "v", [q.dataType])
        try checkRank(q, "q", "[b, t, hq, d]")
        try checkRank(k, "k", "[b, t, h, d]")
        try checkRank(v, "v", "[b, t, h, e]")
        let extents = AttentionExtents(
            batch: q.shape[0], length: q.shape[1], queryHeads: q.shape[2], keyHeads: k.shape[2], keyWidth: q.shape[3],
            valueWidth: v.shape[3])
        let (b, t, h) = (extents.batch, extents.length, extents.keyHeads)
        try extents.validate()
        try checkShape(k, "k", [b, t, h, extents.keyWidth])
        try checkShape(v, "v", [b, t, h, extents.valueWidth])
        if let logG {
            try checkType(logG, "log_g", accumulationTypes)
            try checkShape(logG, "log_g", [b, t, h])
            // On a device nobody looks: there they are logarithms of sigmoids.
            if !logG.isOnDevice { try logG.checkLogGates("log_g") }
        }
        return extents
    }

    /// Checks an initial state, or the gradient of a final one.
    static func check(
        _ state: ExpandedState, _ argument: String, sequences: Int, heads: Int, dimension: Int, valueWidth: Int,
        accumulationTypes: [DataType]
    ) throws(PowerAttentionError) {
        try checkType(state.S, "\(argument).S", accumulationTypes)
        try checkType(state.z, "\(argument).z", [state.S.dataType])
        try checkType(state.exponent, "\(argument).exponent", [.int32])
        try checkShape(state.S, "\(argument).S", [sequences, heads, dimension, valueWidth])
        try checkShape(state.z, "\(argument).z", [sequences, heads, dimension])
        try checkShape(state.exponent, "\(argument).exponent", [sequences, heads])
        // Those on a device are what its kernels wrote.
        guard !state.exponent.isOnDevice else { return }
        let largest = state.exponent.withElements(of: Int32.self) { $0.map(\.magnitude).max() ?? 0 }
        guard largest <= 256 else {
            throw PowerAttentionError(
                argument: "\(argument).exponent", given: "magnitude \(largest)", expected: "exponents within −256…256")
        }
    }
}

extension Tensor {
    /// Throws unless every element is a logarithm of a number in [0, 1].
    func checkLogGates(_ argument: String) throws(PowerAttentionError) {
        func illegal<Element: TensorElement & BinaryFloatingPoint>(_ type: Element.Type) -> (index: Int, value: Double)? {
            withElements(of: type) { elements in
                elements.firstIndex { !($0 <= 0) }.map { ($0, Double(elements[$0])) }
            }
        }
        if let (index, value) = dataType == .float64 ? illegal(Double.self) : illegal(Float.self) {
            throw PowerAttentionError(
                argument: argument, given: "\(value) at element \(index)", expected: "logarithms of gates: −inf … 0, no NaN")
        }
    }
}

/// Throws unless `tensor` has one of `types`.
func checkType(_ tensor: Tensor, _ argument: String, _ types: [DataType]) throws(PowerAttentionError) {
    guard types.contains(tensor.dataType) else {
        throw PowerAttentionError(
            argument: argument, given: "type \(tensor.dataType)",
            expected: types.map(\.rawValue).joined(separator: " or "))
    }
}

/// Throws unless `tensor` has the rank that `layout` shows.
func checkRank(_ tensor: Tensor, _ argument: String, _ layout: String) throws(PowerAttentionError) {
    guard tensor.shape.count == layout.split(separator: ",").count else {
        throw PowerAttentionError(argument: argument, given: "shape \(tensor.shape)", expected: layout)
    }
}

func checkShape(_ tensor: Tensor, _ argument: String, _ shape: [Int]) throws(PowerAttentionError) {
    guard tensor.shape == shape else {
        throw PowerAttentionError(argument: argument, given: "shape \(tensor.shape)", expected: "\(shape)")
    }
}
