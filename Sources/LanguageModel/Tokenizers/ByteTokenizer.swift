public import Tensors

/// A token is a byte, and 256 ends a document.
public struct ByteTokenizer: Tokenizer {
    public var name: String { BuiltInTokenizer.bytes.rawValue }
    public var vocabularySize: Int { 257 }
    public var endOfText: Int32 { 256 }

    public init() {}

    public func encode(bytes: UnsafeBufferPointer<UInt8>) -> [Int32] { bytes.map { Int32($0) } }

    public func lastCut(in bytes: UnsafeBufferPointer<UInt8>) -> Int? { bytes.count > 1 ? bytes.count - 1 : nil }

    /// The end of a document stands for no bytes.
    public func bytes(of ids: [Int32]) throws(PowerAttentionError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(ids.count)
        for id in ids where id != endOfText {
            guard let byte = UInt8(exactly: id) else {
                throw PowerAttentionError(argument: "token", given: "\(id)", expected: "0…256")
            }
            bytes.append(byte)
        }
        return bytes
    }
}
