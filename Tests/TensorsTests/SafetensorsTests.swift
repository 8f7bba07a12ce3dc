import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct SafetensorsTests {
    let folder = try! TemporaryFolder()

    /// Bytes written by version 0.8.0 of the `safetensors` package of PyPI:
    /// `save_file({"half": np.float16([[1, 2]]), "count": np.int64([7]), "empty": np.zeros((0, 3), np.uint8)}, p, {"by": "é"})`.
    static let golden = Data(
        base64Encoded: """
            0AAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJieSI6IsOpIn0sImNvdW50Ijp7ImR0eXBlIjoiSTY0Iiwic2hhcGUiOlsxXSwiZGF0\
            YV9vZmZzZXRzIjpbMCw4XX0sImhhbGYiOnsiZHR5cGUiOiJGMTYiLCJzaGFwZSI6WzEsMl0sImRhdGFfb2Zmc2V0cyI6WzgsMTJd\
            fSwiZW1wdHkiOnsiZHR5cGUiOiJVOCIsInNoYXBlIjpbMCwzXSwiZGF0YV9vZmZzZXRzIjpbMTIsMTJdfX0gICAgBwAAAAAAAAAA\
            PABA
            """)!

    @Test func readsWhatThePythonPackageWrites() throws {
        let file = try SafetensorsFile.read(folder.write(Self.golden, to: "golden"))
        #expect(file.metadata == ["by": "é"])
        #expect(file.tensors.keys.sorted() == ["count", "empty", "half"])
        let half = try #require(file.tensors["half"])
        #expect(half.shape == [1, 2] && half.dataType == .float16)
        #expect(half.converted(to: .float32).array(of: Float.self) == [1, 2])
        #expect(file.tensors["count"]?.array(of: Int64.self) == [7])
        #expect(file.tensors["empty"]?.shape == [0, 3])
    }

    @Test func roundTrip() throws {
        let floats: [Float] = [1, -2, .infinity, 0.1, .leastNonzeroMagnitude, -0]
        let tensors: [String: Tensor] = [
            "F64": Tensor([2], [1.5, -.pi] as [Double]), "F32": Tensor([2, 3], floats),
            "F16": Tensor([6], floats).converted(to: .float16), "BF16": Tensor([6, 1], floats).converted(to: .bfloat16),
            "I64": Tensor([1], [Int64.min]), "I32": Tensor([], [Int32.max]), "U16": Tensor([1, 1, 3], [0, 1, UInt16.max]),
            "U8": Tensor([3], [1, 2, 255] as [UInt8]), "empty": Tensor([4, 0], .float32),
            "a \"name\"\n\\ /é\u{1F600}": Tensor([1], .uint8),
        ]
        let metadata = ["step": "12", "empty": "", "text": "\u{0}\"\\/\u{1F600}"]
        try SafetensorsFile(tensors: tensors, metadata: metadata).write(to: folder.file("a"))
        let back = try SafetensorsFile.read(folder.file("a"))
        #expect(back.metadata == metadata)
        #expect(back.tensors.count == tensors.count)
        for (name, tensor) in tensors {
            let other = try #require(back.tensors[name])
            #expect(other.shape == tensor.shape && other.dataType == tensor.dataType)
            let size = tensor.count * tensor.dataType.byteCount
            #expect(memcmp(other.pointer(to: UInt8.self), tensor.pointer(to: UInt8.self), size) == 0, "\(name)")
        }
        try back.write(to: folder.file("b"))
        #expect(try folder.read("a") == folder.read("b"))
        #expect(folder.contents == ["a", "b"])
    }

    /// Every tensor begins at a multiple of its element's size, so that other readers can map the file.
    @Test func alignment() throws {
        let tensors = [
            "a": Tensor([3], .uint8), "b": Tensor([1], .float64), "c": Tensor([1], .float16), "d": Tensor([5], .float32),
        ]
        try SafetensorsFile(tensors: tensors).write(to: folder.file("a"))
        let header = try SafetensorsHeader(reading: OpenFile(reading: folder.file("a")))
        #expect(header.byteCount % 8 == 0)
        for entry in header.entries.values { #expect(entry.bytes.lowerBound % entry.dataType.byteCount == 0) }
    }

    @Test func readsChosenTensors() throws {
        let path = folder.file("a")
        try SafetensorsFile(tensors: ["x": Tensor([1], [1] as [Float]), "y": Tensor([1], [2] as [Float])]).write(to: path)
        let file = try SafetensorsFile.read(path, only: ["y"])
        #expect(file.tensors.mapValues { $0.array(of: Float.self) } == ["y": [2]])
        #expect(throws: PowerAttentionError.self) { try SafetensorsFile.read(path, only: ["z"]) }
    }

    /// Headers that contradict the format, themselves or the file; `data` is the number of bytes after them.
    static let damaged: [(header: String, data: Int, reason: String)] = [
        ("", 0, "header of 0 bytes"),
        ("[]", 0, "JSON"),
        (" {}", 0, "JSON"),
        ("{}", 1, "bytes of tensors"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, 4, "table of tensors"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 3, "bytes of tensors"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5, "bytes of tensors"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "as its shape holds"),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "as its shape holds"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, 4, "table of tensors"),
        (#"{"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,4]}}"#, 4, "table of tensors"),
        (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, 4, "table of tensors"),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#, 0, "as its shape holds"),
        (#"{"a":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}"#, 0, "as its shape"),
        (#"{"a":{"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]}}"#, 0, "bytes of tensors"),
        (
            #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, 3,
            "where"
        ),
        (
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#, 3,
            "where"
        ),
        (
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1,
            "where"
        ),
        (
            #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, 0,
            "duplicate"
        ),
        (#"{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, 0, "duplicate"),
        (#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"stride":1}}"#, 0, "unknown keys"),
        (#"{"__metadata__":{"a":"1","a":"2"}}"#, 0, "duplicate"),
        (#"{"__metadata__":{"a":1}}"#, 0, "table of tensors"),
        (#"{"__metadata__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#, 0, "not text"),
        (#"{"a":{"b":"c"}}"#, 0, "without dtype"),
        (#"{"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}}"#, 1, "tensor a of type F8"),
        ("{\"a\":" + String(repeating: "[", count: 100_000), 0, "nests"),
        (String(repeating: #"{"a":"#, count: 100_000), 0, "nests"),
    ]

    @Test(arguments: damaged.indices) func refuses(index: Int) throws {
        let (header, data, reason) = Self.damaged[index]
        let text = Array(header.utf8)
        let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
        let path = try folder.write(length + text + [UInt8](repeating: 0, count: data), to: "damaged")
        let error = #expect(throws: PowerAttentionError.self) { try SafetensorsFile.read(path) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "no error")")
    }

    @Test func refusesFilesThatAreNone() throws {
        for bytes in [[], [1], Array(repeating: 255, count: 100), [0, 225, 245, 5, 0, 0, 0, 0, 123]] as [[UInt8]] {
            let path = try folder.write(bytes, to: "damaged")
            #expect(throws: PowerAttentionError.self) { try SafetensorsFile.read(path) }
        }
        for path in [folder.path, folder.file("missing"), "/dev/zero", "", "a\u{0}b"] {
            #expect(throws: PowerAttentionError.self) { try SafetensorsFile.read(path) }
        }
        #expect(throws: PowerAttentionError.self) {
            try SafetensorsFile(tensors: ["__metadata__": Tensor([1], .uint8)]).write(to: folder.file("a"))
        }
    }

    /// Damaged files are refused or read as something consistent; nothing crashes.
    @Test func survivesDamage() throws {
        let tensors = ["weight": Tensor([3, 5], .float32), "bias": Tensor([5], .bfloat16), "step": Tensor([], .int64)]
        try SafetensorsFile(tensors: tensors, metadata: ["step": "12"]).write(to: folder.file("a"))
        let original = Array(try folder.read("a"))
        var mutator = Mutator(seed: 1)
        var accepted = 0
        var refused = 0
        for _ in 0..<4000 {
            let bytes = mutator.mutated(original)
            let path = try folder.write(bytes, to: "damaged")
            do {
                let file = try SafetensorsFile.read(path)
                let size = file.tensors.values.reduce(0) { $0 + $1.count * $1.dataType.byteCount }
                #expect(size < bytes.count)
                accepted += 1
            } catch { refused += 1 }
        }
        #expect(accepted > 0 && refused > 2000)
    }
}
