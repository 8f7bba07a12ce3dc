package import Tensors

/// Operations on tensors, for cuDNN to carry out as one: what is intermediate never reaches memory. Sums are in float32.
package final class OperationGraph {
    let library: CUDNN
    private(set) var operations: [BackendDescriptor] = []
    /// Numbers above those of tensors in memory.
    private var nextIdentifier = 1000

    /// A tensor of the graph.
    package struct Node {
        let descriptor: BackendDescriptor
    }

    /// `cudnnDataType_t`.
    package enum Element: CInt {
        case float32 = 0
        case int32 = 4
        case bfloat16 = 9
        case boolean = 11
    }

    /// `cudnnPointwiseMode_t`.
    package enum Pointwise: CInt {
        case add = 0
        case multiply = 1
        case divide = 6
        case subtract = 9
        case exp = 13
        case log = 15
        case identity = 21
        case isAtLeast = 303
        /// The index along an axis.
        case index = 501
        /// Where the third tensor is true the first, elsewhere the second.
        case select = 601
    }

    /// `cudnnReduceTensorOp_t`.
    package enum Reduction: CInt {
        case sum = 0
        case maximum = 3
    }

    package init(_ library: CUDNN) { self.library = library }

    // MARK: Tensors

    /// A tensor in memory, at a multiple of 16 bytes, which is given under `identifier`.
    package func memory(_ identifier: Int, _ layout: TensorLayout, _ element: Element) throws(PowerAttentionError) -> Node {
        try node(identifier, layout, element) { _ throws(PowerAttentionError) in }
    }

    /// A number in float32, which is given under `identifier`.
    package func number(_ identifier: Int) throws(PowerAttentionError) -> Node {
        try node(identifier, TensorLayout(packed: [1, 1, 1, 1]), .float32) { tensor throws(PowerAttentionError) in
            try tensor.set(.tensorIsValue, true)
        }
    }

    package func intermediate(
        _ layout: TensorLayout, _ element: Element = .float32
    ) throws(PowerAttentionError) -> Node {
        nextIdentifier += 1
        return try node(nextIdentifier, layout, element) { tensor throws(PowerAttentionError) in
            try tensor.set(.tensorIsVirtual, true)
        }
    }

    private func node(
        _ identifier: Int, _ layout: TensorLayout, _ element: Element,
        _ kind: (BackendDescriptor) throws(PowerAttentionError) -> Void
    ) throws(PowerAttentionError) -> Node {
        let tensor = try BackendDescriptor(.tensor, library)
        try tensor.set(.tensorIdentifier, [identifier])
        try tensor.set(.tensorType, element.rawValue, of: .dataType)
        try tensor.set(.tensorExtents, layout.extents)
        try tensor.set(.tensorStrides, layout.strides)
        try tensor.set(.tensorAlignment, [16])
        try kind(tensor)
        try tensor.finalize()
        return Node(descriptor: tensor)
    }

    // MARK: Operations; each returns its result

    /// `A·B` of the last two axes.
    @discardableResult
    package func product(_ a: Node, _ b: Node, into result: Node) throws(PowerAttentionError) -> Node {
        let product = try BackendDescriptor(.matmul, library)
        try product.set(.matmulPrecision, Element.float32.rawValue, of: .dataType)
        try product.finalize()
        return try add(
            .matmulOperation,
            [(.operationMatmul, product), (.operationMatmulA, a.descriptor), (.operationMatmulB, b.descriptor)],
            (.operationMatmulC, result))
    }

    /// A function of every element, with operands of one element repeated.
    ///
    /// - Parameter axis: of indices.
    @discardableResult
    package func pointwise(
        _ mode: Pointwise, _ x: Node, _ b: Node? = nil, _ t: Node? = nil, axis: Int? = nil, into result: Node
    ) throws(PowerAttentionError) -> Node {
        let function = try BackendDescriptor(.pointwise, library)
        try function.set(.pointwiseMode, mode.rawValue, of: .pointwiseMode)
        let precision: Element = mode == .isAtLeast ? .boolean : .float32
        try function.set(.pointwisePrecision, precision.rawValue, of: .dataType)
        if let axis { try function.set(.pointwiseAxis, [axis]) }
        try function.finalize()
        var operands: [(BackendDescriptor.Attribute, BackendDescriptor)] = [
            (.operationPointwise, function), (.operationPointwiseX, x.descriptor),
        ]
        if let b { operands.append((.operationPointwiseB, b.descriptor)) }
        if let t { operands.append((.operationPointwiseT, t.descriptor)) }
        return try add(.pointwiseOperation, operands, (.operationPointwiseY, result))
    }

    /// Over the axes of which the result has one element, or fewer by a factor.
    @discardableResult
    package func reduction(_ mode: Reduction, _ x: Node, into result: Node) throws(PowerAttentionError) -> Node {
        let reduction = try BackendDescriptor(.reduction, library)
        try reduction.set(.reductionOperator, mode.rawValue, of: .reductionOperator)
        try reduction.set(.reductionPrecision, Element.float32.rawValue, of: .dataType)
        try reduction.finalize()
        return try add(
            .reductionOperation, [(.operationReduction, reduction), (.operationReductionX, x.descriptor)],
            (.operationReductionY, result))
    }

    /// The same elements in another layout.
    @discardableResult
    package func reshape(_ x: Node, into result: Node) throws(PowerAttentionError) -> Node {
        try add(.reshapeOperation, [(.operationReshapeX, x.descriptor)], (.operationReshapeY, result))
    }

    private func add(
        _ kind: BackendDescriptor.Kind, _ operands: [(BackendDescriptor.Attribute, BackendDescriptor)],
        _ result: (attribute: BackendDescriptor.Attribute, node: Node)
    ) throws(PowerAttentionError) -> Node {
        let operation = try BackendDescriptor(kind, library)
        for (attribute, descriptor) in operands + [(result.attribute, result.node.descriptor)] {
            try operation.set(attribute, [descriptor])
        }
        try operation.finalize()
        operations.append(operation)
        return result.node
    }
}
