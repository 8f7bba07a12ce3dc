import Foundation
import PowerAttention

/// The tensors that `power apply` reads.
struct ApplyInputs {
    let q, k, v: Tensor
    let logG, dy: Tensor?
    let cuSeqlens: [Int]?

    private static let required = ["q", "k", "v"]
    private static let optional = ["log_g", "dy", "cu_seqlens"]

    /// - Throws: `PowerAttentionError` where the file is damaged, or lacks a tensor. Tensors of other names are pointed out and left alone.
    init(contentsOf path: String) throws {
        let file = try SafetensorsFile.read(path)
        for name in Self.required where file.tensors[name] == nil {
            throw PowerAttentionError(argument: path, given: "no tensor \(name)", expected: "q, k and v")
        }
        let known = Self.required + Self.optional
        for stranger in file.tensors.keys.sorted() where !known.contains(stranger) {
            let note = "\(path): tensor \(String(reflecting: stranger)) is not used (\(known.joined(separator: ", ")) are)\n"
            try FileHandle.standardError.write(contentsOf: Data(note.utf8))
        }
        guard let q = file.tensors["q"], let k = file.tensors["k"], let v = file.tensors["v"] else {
            preconditionFailure("checked above")
        }
        (self.q, self.k, self.v) = (q, k, v)
        logG = file.tensors["log_g"]
        dy = file.tensors["dy"]
        guard let offsets = file.tensors["cu_seqlens"] else {
            cuSeqlens = nil
            return
        }
        guard offsets.dataType == .int32, offsets.shape.count == 1 else {
            throw PowerAttentionError(
                argument: "cu_seqlens", given: "\(offsets.dataType) of shape \(offsets.shape)",
                expected: "int32 of shape [n + 1]")
        }
        cuSeqlens = offsets.array(of: Int32.self).map(Int.init)
    }
}
