import Foundation

/// The header of a safetensors file: what lies where.
package struct SafetensorsHeader: Sendable {
    /// A tensor's type, shape and place, counted from the end of the header.
    package struct Entry: Sendable, Hashable {
        package let dataType: DataType
        package let shape: [Int]
        package let bytes: Range<Int>
    }

    package let entries: [String: Entry]
    package let metadata: [String: String]
    /// Where the first tensor begins in the file; zero for a header that is yet to be written.
    package let byteCount: Int

    /// The format's own limit.
    static let largestByteCount = 100_000_000

    /// Reads and checks the header: the ranges must fill the file exactly, each as long as its shape and type say.
    ///
    /// - Throws: `damagedFile` or `unsupported`; see ``SafetensorsFile/read(_:only:)``.
    package init(reading file: borrowing OpenFile) throws(PowerAttentionError) {
        let path = file.path
        func damaged(_ given: String, _ expected: String) -> PowerAttentionError {
            PowerAttentionError(.damagedFile, argument: path, given: given, expected: expected)
        }
        guard file.byteCount >= 8 else { throw damaged("\(file.byteCount) bytes", "a safetensors file of at least 8 bytes") }
        let length = try file.bytes(0..<8).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        let limit = min(Self.largestByteCount, file.byteCount - 8)
        guard length >= 2, length <= UInt64(limit) else {
            throw damaged(
                "a header of \(length) bytes in a file of \(file.byteCount)", "a safetensors header of 2 to \(limit) bytes")
        }
        byteCount = 8 + Int(length)
        let text = try file.bytes(8..<byteCount)
        let decoded: SafetensorsJSON
        do throws(SafetensorsJSON.Failure) { decoded = try SafetensorsJSON(decoding: text) } catch {
            throw damaged("a header that \(error.reason)", "a safetensors header")
        }
        metadata = decoded.metadata

        var entries: [String: Entry] = [:]
        for (name, tensor) in decoded.tensors {
            guard let dataType = DataType(safetensorsName: tensor.dtype) else {
                let known = DataType.allCases.map(\.safetensorsName).joined(separator: ", ")
                throw PowerAttentionError(
                    .unsupported, argument: path, given: "tensor \(name) of type \(tensor.dtype)", expected: known)
            }
            guard tensor.offsets.count == 2, tensor.offsets[0] >= 0, tensor.offsets[0] <= tensor.offsets[1] else {
                throw damaged("tensor \(name) at \(tensor.offsets)", "data_offsets [begin, end]")
            }
            let bytes = tensor.offsets[0]..<tensor.offsets[1]
            guard let size = Tensor.byteCount(tensor.shape, dataType), size == bytes.count else {
                throw damaged(
                    "tensor \(name) of \(tensor.dtype) \(tensor.shape) in \(bytes.count) bytes",
                    "as many bytes as its shape holds")
            }
            entries[name] = Entry(dataType: dataType, shape: tensor.shape, bytes: bytes)
        }
        var end = 0
        let inOrder = entries.sorted { first, second in
            let (a, b) = (first.value.bytes, second.value.bytes)
            return (a.lowerBound, a.upperBound) < (b.lowerBound, b.upperBound)
        }
        for (name, entry) in inOrder {
            guard entry.bytes.lowerBound == end else {
                throw damaged(
                    "tensor \(name) at byte \(entry.bytes.lowerBound)", "byte \(end), where the tensor before it ends")
            }
            end = entry.bytes.upperBound
        }
        guard end == file.byteCount - byteCount else {
            throw damaged("\(file.byteCount - byteCount) bytes of tensors", "\(end), as its header says")
        }
        self.entries = entries
    }
}

extension SafetensorsHeader {
    /// The header of a file that holds `tensors` one after the other.
    ///
    /// - Throws: `invalidArgument` where a tensor has the name that is reserved for metadata.
    init(_ tensors: [(name: String, tensor: Tensor)], metadata: [String: String]) throws(PowerAttentionError) {
        var entries: [String: Entry] = [:]
        var end = 0
        for (name, tensor) in tensors {
            guard name != SafetensorsJSON.metadataKey else {
                throw PowerAttentionError(argument: "tensors", given: name, expected: "a name that is not reserved")
            }
            let size = tensor.count * tensor.dataType.byteCount
            entries[name] = Entry(dataType: tensor.dataType, shape: tensor.shape, bytes: end..<end + size)
            end += size
        }
        self.entries = entries
        self.metadata = metadata
        byteCount = 0
    }

    /// The bytes before the first tensor: the length, the text, and spaces up to a multiple of eight.
    func encoded() throws(PowerAttentionError) -> [UInt8] {
        let infos = entries.mapValues { entry in
            SafetensorsJSON.TensorInfo(
                dtype: entry.dataType.safetensorsName, shape: entry.shape,
                offsets: [entry.bytes.lowerBound, entry.bytes.upperBound])
        }
        var text: [UInt8]
        do { text = Array(try SafetensorsJSON(tensors: infos, metadata: metadata).encoded()) } catch {
            throw PowerAttentionError(
                argument: "metadata", given: "text that is not representable", expected: "text", cause: error)
        }
        text += Array(repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
        guard text.count <= Self.largestByteCount else {
            throw PowerAttentionError(
                argument: "metadata", given: "a header of \(text.count) bytes", expected: "at most \(Self.largestByteCount)")
        }
        return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
    }
}
