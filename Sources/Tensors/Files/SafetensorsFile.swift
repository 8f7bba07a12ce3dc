import Foundation

/// Named tensors and text metadata in the safetensors format (https://github.com/huggingface/safetensors): the interchange
/// format for tensors, states and checkpoints.
///
/// A file is the length of a header (eight bytes, little endian), the header (JSON: for every tensor its type, its shape and
/// its range of bytes), and the tensors' elements, row by row, without gaps.
///
/// ```swift
/// var file = SafetensorsFile(tensors: ["q": q, "k": k], metadata: ["degree": "2"])
/// try file.write(to: "inputs.safetensors")
/// let back = try SafetensorsFile.read("inputs.safetensors")
/// ```
public struct SafetensorsFile: Sendable {
    /// The tensors by name.
    public var tensors: [String: Tensor]
    /// Free text by key; stored under the header's `__metadata__`.
    public var metadata: [String: String]

    public init(tensors: [String: Tensor] = [:], metadata: [String: String] = [:]) {
        self.tensors = tensors
        self.metadata = metadata
    }

    /// Reads the tensors `names`, or all of them, and the metadata.
    ///
    /// The types `F64`, `F32`, `F16`, `BF16`, `I64`, `I32`, `U16` and `U8` are read. The header is checked in full before any
    /// tensor is allocated, so that no more memory is taken than the file has bytes.
    ///
    /// - Throws: ``PowerAttentionError`` with code `inputOutput` where the file cannot be read; `damagedFile` where it is not a
    ///   safetensors file, is truncated, or its header contradicts itself; `unsupported` where a tensor has another type;
    ///   `invalidArgument` where one of `names` is missing.
    /// - Complexity: O(bytes read).
    public static func read(_ path: String, only names: [String]? = nil) throws(PowerAttentionError) -> SafetensorsFile {
        let file = try OpenFile(reading: path)
        let header = try SafetensorsHeader(reading: file)
        let names = names ?? Array(header.entries.keys)
        let available = ProcessInfo.processInfo.physicalMemory
        let size = names.reduce(0) { $0 + (header.entries[$1]?.bytes.count ?? 0) }
        guard UInt64(size) <= available else {
            throw PowerAttentionError(
                .unsupported, argument: path, given: "\(size) bytes of tensors",
                expected: "at most the \(available) bytes of this machine's memory")
        }
        var result = SafetensorsFile(metadata: header.metadata)
        for name in names {
            guard let entry = header.entries[name] else {
                throw PowerAttentionError(
                    argument: path, given: "no tensor \(name)",
                    expected: "a tensor \(name) (there are: \(header.entries.keys.sorted().joined(separator: ", ")))")
            }
            var tensor = Tensor(uninitialized: entry.shape, entry.dataType)
            let elements = UnsafeMutableRawBufferPointer(start: tensor.mutablePointer(to: UInt8.self), count: entry.bytes.count)
            try file.read(into: elements, at: header.byteCount + entry.bytes.lowerBound)
            result.tensors[name] = tensor
        }
        return result
    }

    /// Writes the file so that it appears complete or not at all: to a temporary name in the same folder, through to the disk,
    /// then renamed.
    ///
    /// The same contents give the same bytes: tensors lie in the order of their element size (largest first, so that each is
    /// aligned to its type) and then their name.
    ///
    /// - Throws: ``PowerAttentionError`` with code `inputOutput` where writing fails (an old file of that name is then
    ///   untouched); `invalidArgument` where a tensor is named `__metadata__`.
    public func write(to path: String) throws(PowerAttentionError) {
        var file = try staged(for: path)
        try file.commit()
    }

    /// The file under its temporary name, complete but for ``AtomicFile/commit()``: for files that must appear together.
    package func staged(for path: String) throws(PowerAttentionError) -> AtomicFile {
        let inOrder = tensors.sorted { first, second in
            let (a, b) = (first.value.dataType.byteCount, second.value.dataType.byteCount)
            return a != b ? a > b : first.key < second.key
        }
        let header = try SafetensorsHeader(inOrder.map { ($0.key, $0.value) }, metadata: metadata)
        var file = try AtomicFile(replacing: path)
        try file.append(header.encoded())
        for (_, tensor) in inOrder {
            try withExtendedLifetime(tensor) { () throws(PowerAttentionError) in
                let size = tensor.count * tensor.dataType.byteCount
                try file.append(UnsafeRawBufferPointer(start: tensor.pointer(to: UInt8.self), count: size))
            }
        }
        return file
    }
}
