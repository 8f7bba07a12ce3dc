/// A dense, row-major array: a shape, an element type and the elements, in host memory where nothing else is said.
///
/// A value: copies share storage until one of them is written to. The last index varies fastest.
///
/// ```swift
/// let q = Tensor([1, 4, 2, 8], .float32)            // zeros
/// let k = Tensor([2, 2], [1, 2, 3, 4] as [Float])   // from an array
/// ```
public struct Tensor: Sendable {
    public let shape: [Int]
    public let dataType: DataType
    package private(set) var storage: Storage

    /// A tensor of zeros.
    ///
    /// - Precondition: no extent is negative and the size in bytes fits in `Int`; check sizes that come from outside with
    ///   ``byteCount(_:_:)`` first.
    public init(_ shape: [Int], _ dataType: DataType) {
        self.init(uninitialized: shape, dataType)
        storage.pointer.initializeMemory(as: UInt8.self, repeating: 0, count: storage.byteCount)
    }

    /// A tensor with undefined contents, for callers that write every element.
    package init(uninitialized shape: [Int], _ dataType: DataType) {
        guard let bytes = Self.byteCount(shape, dataType) else { preconditionFailure("illegal shape \(shape)") }
        self.shape = shape
        self.dataType = dataType
        storage = Storage(byteCount: bytes)
    }

    /// A tensor that holds `elements`.
    ///
    /// - Precondition: `elements.count` is the product of `shape`.
    public init<Element: TensorElement>(_ shape: [Int], _ elements: [Element]) {
        self.init(uninitialized: shape, Element.dataType)
        precondition(elements.count == count, "\(elements.count) elements for shape \(shape)")
        elements.withUnsafeBytes { source in
            if let base = source.baseAddress { storage.pointer.copyMemory(from: base, byteCount: source.count) }
        }
    }

    /// The same elements under another shape of the same size.
    package func reshaped(_ shape: [Int]) -> Tensor { Tensor(shape: shape, dataType: dataType, storage: storage) }

    /// Some of the rows, those of the first index, without copying them.
    package func rows(_ range: Range<Int>) -> Tensor {
        guard range != 0..<shape[0] else { return self }
        let rowBytes = storage.byteCount / max(shape[0], 1)
        return Tensor(
            shape: [range.count] + shape.dropFirst(), dataType: dataType,
            storage: Storage(range.lowerBound * rowBytes..<range.upperBound * rowBytes, of: storage))
    }

    init(shape: [Int], dataType: DataType, storage: Storage) {
        precondition(shape.reduce(1, *) * dataType.byteCount == storage.byteCount, "reshape to \(shape) changes the size")
        self.shape = shape
        self.dataType = dataType
        self.storage = storage
    }

    /// The number of elements.
    public var count: Int { storage.byteCount / dataType.byteCount }

    /// The size in bytes of a tensor of this shape, or `nil` where an extent is negative or the product overflows.
    public static func byteCount(_ shape: [Int], _ dataType: DataType) -> Int? {
        var bytes = dataType.byteCount
        for extent in shape {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
            guard extent >= 0, !overflow else { return nil }
            bytes = product
        }
        return bytes
    }

    /// Whether writing to the elements changes no other tensor.
    package mutating func isUnique() -> Bool { !storage.isPart && isKnownUniquelyReferenced(&storage) }

    fileprivate mutating func makeUnique() {
        if !isUnique() { storage = storage.copy() }
    }
}

/// A Swift type that is stored as it is in a tensor of the matching ``DataType``.
public protocol TensorElement: BitwiseCopyable, Sendable {
    static var dataType: DataType { get }
}

extension Double: TensorElement { public static var dataType: DataType { .float64 } }
extension Float: TensorElement { public static var dataType: DataType { .float32 } }
extension Int64: TensorElement { public static var dataType: DataType { .int64 } }
extension Int32: TensorElement { public static var dataType: DataType { .int32 } }
extension UInt16: TensorElement { public static var dataType: DataType { .uint16 } }
extension UInt8: TensorElement { public static var dataType: DataType { .uint8 } }

extension Tensor {
    /// Calls `body` with the elements.
    ///
    /// - Precondition: `Element.dataType` is the tensor's type.
    public func withElements<Element: TensorElement, Result, Failure: Error>(
        of type: Element.Type = Element.self, _ body: (UnsafeBufferPointer<Element>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(Element.dataType == dataType, "\(Element.dataType) access to a \(dataType) tensor")
        defer { withExtendedLifetime(storage) {} }
        return try body(UnsafeBufferPointer(start: pointer(to: Element.self), count: count))
    }

    /// Calls `body` with the elements for writing.
    ///
    /// - Precondition: `Element.dataType` is the tensor's type.
    public mutating func withMutableElements<Element: TensorElement, Result, Failure: Error>(
        of type: Element.Type = Element.self, _ body: (UnsafeMutableBufferPointer<Element>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(Element.dataType == dataType, "\(Element.dataType) access to a \(dataType) tensor")
        makeUnique()
        defer { withExtendedLifetime(storage) {} }
        let start = storage.pointer.assumingMemoryBound(to: Element.self)
        return try body(UnsafeMutableBufferPointer(start: start, count: count))
    }

    /// The elements as a Swift array of the stored type.
    ///
    /// - Precondition: `Element.dataType` is the tensor's type.
    public func array<Element: TensorElement>(of type: Element.Type = Element.self) -> [Element] {
        withElements(of: type) { Array($0) }
    }

    /// The address of the elements, for kernels. The caller keeps the tensor alive while it is in use.
    package func pointer<Element>(to type: Element.Type = Element.self) -> UnsafePointer<Element> {
        UnsafePointer(storage.pointer.assumingMemoryBound(to: Element.self))
    }

    /// The address of the elements for writing, after making sure that no other tensor shares them.
    package mutating func mutablePointer<Element>(to type: Element.Type = Element.self) -> UnsafeMutablePointer<Element> {
        makeUnique()
        return storage.pointer.assumingMemoryBound(to: Element.self)
    }
}
