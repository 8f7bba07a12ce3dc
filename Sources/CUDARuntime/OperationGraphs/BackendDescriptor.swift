import Tensors

/// A descriptor of cuDNN: something with attributes, which is of use once it is finalized.
///
/// Used by one thread at a time: the context's order sees to that.
final class BackendDescriptor: @unchecked Sendable {
    let library: CUDNN
    let kind: Kind
    let handle: CUDNN.Handle

    /// `cudnnBackendDescriptorType_t`.
    enum Kind: CInt {
        case pointwise = 0
        case engineConfiguration = 3
        case engineHeuristics = 4
        case executionPlan = 5
        case pointwiseOperation = 13
        case operationGraph = 15
        case variantPack = 16
        case tensor = 17
        case matmul = 18
        case matmulOperation = 19
        case reduction = 21
        case reductionOperation = 22
        case reshapeOperation = 31
    }

    /// `cudnnBackendAttributeType_t`, those of integers of 32 bits that name something.
    enum Name: CInt {
        case dataType = 1
        case heuristicsMode = 8
        case pointwiseMode = 14
        case reductionOperator = 18
    }

    init(_ kind: Kind, _ library: CUDNN) throws(PowerAttentionError) {
        var handle: CUDNN.Handle = 0
        try library.check(library.createDescriptor(kind.rawValue, &handle), "BackendCreateDescriptor", "\(kind)")
        self.library = library
        self.kind = kind
        self.handle = handle
    }

    deinit { _ = library.destroyDescriptor(handle) }

    // CUDNN_TYPE_HANDLE is 0, …_BOOLEAN 2, …_INT64 3, …_VOID_PTR 6, …_BACKEND_DESCRIPTOR 15.

    func set(_ attribute: Attribute, handle: CUDNN.Handle) throws(PowerAttentionError) { try set(attribute, 0, [handle]) }
    func set(_ attribute: Attribute, _ value: Bool) throws(PowerAttentionError) { try set(attribute, 2, [value]) }
    func set(_ attribute: Attribute, _ values: [Int]) throws(PowerAttentionError) {
        try set(attribute, 3, values.map(Int64.init))
    }
    func set(_ attribute: Attribute, _ value: CInt, of name: Name) throws(PowerAttentionError) {
        try set(attribute, name.rawValue, [value])
    }
    func set(_ attribute: Attribute, addresses: [UInt64]) throws(PowerAttentionError) { try set(attribute, 6, addresses) }
    func set(_ attribute: Attribute, _ descriptors: [BackendDescriptor]) throws(PowerAttentionError) {
        try set(attribute, 15, descriptors.map(\.handle))
        withExtendedLifetime(descriptors) {}
    }

    private func set<Value: BitwiseCopyable>(
        _ attribute: Attribute, _ type: CInt, _ values: [Value]
    ) throws(PowerAttentionError) {
        let status = values.withUnsafeBytes { bytes in
            bytes.baseAddress.map { library.setAttribute(handle, attribute.rawValue, type, Int64(values.count), $0) } ?? 0
        }
        try library.check(status, "BackendSetAttribute", "\(kind), \(attribute)")
    }

    func integer(_ attribute: Attribute) throws(PowerAttentionError) -> Int {
        var (value, count) = (Int64(0), Int64(0))
        let status = library.getAttribute(handle, attribute.rawValue, 3, 1, &count, &value)
        try library.check(status, "BackendGetAttribute", "\(kind), \(attribute)")
        return Int(value)
    }

    /// Fills descriptors that were made for it.
    ///
    /// - Returns: how many of them it filled.
    func get(_ attribute: Attribute, into descriptors: [BackendDescriptor]) throws(PowerAttentionError) -> Int {
        var handles = descriptors.map(\.handle)
        var count: Int64 = 0
        let status = library.getAttribute(handle, attribute.rawValue, 15, Int64(handles.count), &count, &handles)
        try library.check(status, "BackendGetAttribute", "\(kind), \(attribute)")
        return min(Int(count), descriptors.count)
    }

    func finalize() throws(PowerAttentionError) { try library.check(library.finalize(handle), "BackendFinalize", "\(kind)") }
}

extension BackendDescriptor {
    /// `cudnnBackendAttributeName_t`.
    enum Attribute: CInt {
        case pointwiseMode = 0
        case pointwisePrecision = 1
        case pointwiseAxis = 9
        case heuristicsMode = 200
        case heuristicsGraph = 201
        case heuristicsResults = 202
        case planHandle = 400
        case planConfiguration = 401
        case planWorkspace = 402
        case operationPointwise = 750
        case operationPointwiseX = 751
        case operationPointwiseB = 752
        case operationPointwiseY = 753
        case operationPointwiseT = 758
        case graphHandle = 800
        case graphOperations = 801
        case tensorAlignment = 900
        case tensorType = 901
        case tensorExtents = 902
        case tensorStrides = 903
        case tensorIdentifier = 906
        case tensorIsVirtual = 907
        case tensorIsValue = 908
        case packIdentifiers = 1000
        case packPointers = 1001
        case packWorkspace = 1003
        case matmulPrecision = 1500
        case operationMatmulA = 1520
        case operationMatmulB = 1521
        case operationMatmulC = 1522
        case operationMatmul = 1523
        case reductionOperator = 1600
        case reductionPrecision = 1601
        case operationReductionX = 1610
        case operationReductionY = 1611
        case operationReduction = 1612
        case operationReshapeX = 2200
        case operationReshapeY = 2201
    }
}
