import PowerAttention

/// The tensors that `power apply` reads.
struct ApplyInputs {
    let q, k, v: Tensor
    let logG, dy: Tensor?
    let cuSeqlens: [Int]?

    private static let required = ["q", "k", "v"]
    private static let optional = ["log_g", "dy", "cu_seqlens"]

    /// - Throws: `PowerAttentionError` where the file is damaged, lacks a tensor, or holds one that would be ignored.
    init(contentsOf path: String) throws {
        let file = try SafetensorsFile.read(path)
        for name in Self.required where file.tensors[name] == nil {
            throw PowerAttentionError(argument: path, given: "no tensor \(name)", expected: "q, k and v")
        }
        let known = Self.required + Self.optional
        if let stranger = file.tensors.keys.sorted().first(where: { !known.contains($0) }) {
            throw PowerAttentionError(
                argument: path, given: "a tensor \(stranger)", expected: known.joined(separator: ", "))
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
                argument: "cu_seqlens", given: "\(offsets.dataType) of shape \(offsets.shape)", expected: "int32 of shape [n + 1]")
        }
        cuSeqlens = offsets.array(of: Int32.self).map(Int.init)
    }
}
