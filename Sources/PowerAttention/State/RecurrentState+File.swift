import BackendInterface
import Foundation
public import Tensors

extension RecurrentState {
    private static let format = "power-attention state"
    private static let version = "1"

    /// Writes the state as a safetensors file: `S [n, h, D, e]`, `z [n, h, D]`, `exponent [n, h]` where it is folded, else the
    /// keys, values and gates held, `k [n, m, h, d]`, `v [n, m, h, e]`, `log_g [n, m, h]`; the settings are in the metadata.
    ///
    /// The true state is `S`, `z` times `2^(p·exponent)`; features stand in the order of ``SymmetricPower``, with coefficient one.
    public func write(to path: String) throws(PowerAttentionError) {
        var state = self
        if let expanded {
            state.expanded = ExpandedState(
                S: try expanded.S.onHost(), z: try expanded.z.onHost(), exponent: try expanded.exponent.onHost())
        }
        try state.safetensors.write(to: path)
    }

    /// What ``write(to:)`` writes.
    package var safetensors: SafetensorsFile {
        var file = SafetensorsFile(metadata: [
            "format": Self.format, "version": Self.version, "degree": "\(degree)", "tile": "\(tile)",
            "sequences": "\(sequences)", "key_heads": "\(keyHeads)", "key_width": "\(keyWidth)",
            "value_width": "\(valueWidth)", "switch_over": "\(switchOver)",
            "tokens": tokens.map(String.init).joined(separator: ","),
        ])
        if let expanded {
            file.tensors = ["S": expanded.S, "z": expanded.z, "exponent": expanded.exponent]
        } else {
            let (k, v, logG) = buffer.contents
            file.tensors = ["k": k, "v": v, "log_g": logG]
        }
        return file
    }

    /// Reads a state that ``write(to:)`` has written.
    ///
    /// - Throws: `PowerAttentionError` that names the file, and what in it is not as it should be.
    public static func read(_ path: String) throws(PowerAttentionError) -> RecurrentState {
        let file = try SafetensorsFile.read(path)
        let settings = StateFileSettings(path: path, metadata: file.metadata)
        try settings.expect("format", format)
        try settings.expect("version", version)
        let degree = try settings.integer("degree", in: 1...4)
        let keyWidth = try settings.integer("key_width", in: 1...256)
        let shape = AttentionShape(
            batch: try settings.integer("sequences", in: 0...Int.max), length: 1,
            heads: try settings.integer("key_heads", in: 1...1 << 20), width: keyWidth,
            valueWidth: try settings.integer("value_width", in: 1...256))
        let expansion = SymmetricPower(
            degree: degree, width: keyWidth, tile: try settings.integer("tile", in: 1...keyWidth))
        let tokens = try settings.integers("tokens", in: 0...1 << 60)
        guard tokens.count == shape.batch else {
            throw settings.damaged("tokens of \(tokens.count) sequences", "of \(shape.batch)")
        }
        let tensors = StateFileTensors(path: path, tensors: file.tensors)
        let folded = file.tensors["S"] != nil
        var expanded: ExpandedState?
        var held: (k: Tensor, v: Tensor, logG: Tensor)?
        if folded {
            expanded = try tensors.expandedState(shape, dimension: expansion.dimension)
        } else {
            held = try tensors.keyValues(shape)
            let count = held?.k.shape[1] ?? 0
            guard tokens.allSatisfy({ $0 == count }) else {
                throw settings.damaged("\(tokens) tokens, \(count) of them held", "as many held as seen")
            }
        }
        // Everything has been checked against the sizes of the tensors: from here on nothing can fail.
        var state = RecurrentState(
            shape, expansion, switchOver: try settings.integer("switch_over", in: 1...Int.max))
        state.expanded = expanded
        if let held {
            state.buffer.prepare(held.k.dataType)
            state.buffer.append(k: held.k, v: held.v, logG: held.logG)
        }
        state.tokens = tokens
        return state
    }
}

/// The metadata of a state file.
private struct StateFileSettings {
    let path: String
    let metadata: [String: String]

    func damaged(_ given: String, _ expected: String) -> PowerAttentionError {
        PowerAttentionError(.damagedFile, argument: path, given: given, expected: expected)
    }

    func expect(_ key: String, _ value: String) throws(PowerAttentionError) {
        guard let given = metadata[key], given == value else {
            throw damaged(metadata[key].map { "\(key) \"\($0)\"" } ?? "no \(key)", "a state file, with \(key) \"\(value)\"")
        }
    }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(PowerAttentionError) -> Int {
        guard let text = metadata[key], let value = Int(text), range.contains(value) else {
            throw damaged(
                metadata[key].map { "\(key) \"\($0)\"" } ?? "no \(key)",
                "\(key) from \(range.lowerBound)" + (range.upperBound == .max ? "" : " to \(range.upperBound)"))
        }
        return value
    }

    func integers(_ key: String, in range: ClosedRange<Int>) throws(PowerAttentionError) -> [Int] {
        guard let text = metadata[key] else { throw damaged("no \(key)", "\(key) of every sequence") }
        var values: [Int] = []
        for word in text.split(separator: ",") {
            guard let value = Int(word), range.contains(value) else {
                throw damaged("\(key) \"\(word.prefix(40))\"", "numbers from \(range.lowerBound)")
            }
            values.append(value)
        }
        return values
    }
}

/// The tensors of a state file.
private struct StateFileTensors {
    let path: String
    let tensors: [String: Tensor]

    func expandedState(_ shape: AttentionShape, dimension: Int) throws(PowerAttentionError) -> ExpandedState {
        let (n, h) = (shape.batch, shape.keyHeads)
        let S = try tensor("S", [n, h, dimension, shape.valueWidth], [.float32, .float64])
        let z = try tensor("z", [n, h, dimension], [S.dataType])
        return ExpandedState(S: S, z: z, exponent: try tensor("exponent", [n, h], [.int32]))
    }

    func keyValues(_ shape: AttentionShape) throws(PowerAttentionError) -> (k: Tensor, v: Tensor, logG: Tensor) {
        let (n, h) = (shape.batch, shape.keyHeads)
        let count = tensors["k"].flatMap { $0.shape.count == 4 ? $0.shape[1] : nil } ?? 0
        let k = try tensor("k", [n, count, h, shape.keyWidth], [.float32, .float64])
        let v = try tensor("v", [n, count, h, shape.valueWidth], [k.dataType])
        let logG = try tensor("log_g", [n, count, h], [k.dataType])
        try logG.checkLogGates("\(path): log_g")
        return (k, v, logG)
    }

    private func tensor(_ name: String, _ shape: [Int], _ types: [DataType]) throws(PowerAttentionError) -> Tensor {
        guard let tensor = tensors[name] else {
            throw PowerAttentionError(.damagedFile, argument: path, given: "no tensor \(name)", expected: "\(name) \(shape)")
        }
        try checkType(tensor, "\(path): \(name)", types)
        try checkShape(tensor, "\(path): \(name)", shape)
        return tensor
    }
}
