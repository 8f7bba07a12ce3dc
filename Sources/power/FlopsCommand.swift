import ArgumentParser
import Foundation
import PowerAttention

/// `power flops`: weight FLOPs, state FLOPs and their ratio, over mechanisms and contexts.
struct FlopsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flops",
        abstract:
            "Show what training costs a token: FLOPs of the weights and the head, FLOPs and bytes of the state, and the ratio (WSFR).",
        discussion: """
            Without options: a GPT-2 of 124M parameters, as in table 2 of the paper, with exponential attention, linear attention \
            and power attention of degrees 2 and 3. Weights are those that every token passes through, embeddings and head not among \
            them; causal attention is averaged over the context; backward counts twice forward for weights and 2.5 times for the \
            state. The ratio is that of weights and state; `power train` counts weights, head and state in its utilization.
            """)

    @Option(parsing: .upToNextOption, help: "Contexts in tokens.") var context: [Int] = [1024, 8192, 65536]
    @Option(parsing: .upToNextOption, help: "Degrees of power attention.") var degree: [Int] = [2, 3]
    @Option(help: "Layers of the model.") var layers = 12
    @Option(help: "Width of the model.") var width = 768
    @Option(help: "Query heads.") var heads = 12
    @Option(help: "Key and value heads, if fewer.") var keyHeads: Int?
    @Option(help: "Width of a head, if not the model's width over its heads.") var headWidth: Int?
    @Option(help: "Width of the MLP over that of the model.") var mlpRatio = 4
    @Option(help: "Tokens of the vocabulary.") var vocabulary = 50_257
    @Option(help: "Tokens in a chunk; chosen by cost if not given.") var chunkSize: Int?
    @Option(help: "Form of linear and power attention: auto, attention, recurrent or chunked.")
    var form = AttentionConfiguration.Form.automatic
    @Option(help: "Tile of the symmetric power.") var tile = 1
    @Flag(help: "Print JSON instead of a table.") var json = false

    /// One line of the answer.
    struct Row: Encodable {
        var attention: String
        var form: String
        var context: Int
        var weightFLOPsPerToken: Double
        var headFLOPsPerToken: Double
        var stateFLOPsPerToken: Double
        var ratio: Double
        var wsfr: String
        var stateBytes: Double
    }

    func validate() throws {
        guard layers > 0, width > 0, heads > 0, mlpRatio > 0, vocabulary > 0, headWidth ?? 1 > 0, keyHeads ?? 1 > 0 else {
            throw ValidationError("layers, widths, heads, the MLP ratio and the vocabulary must be positive")
        }
        guard max(layers, width, heads, mlpRatio) <= 1 << 20, headWidth ?? 1 <= 256, keyHeads ?? 1 <= heads else {
            throw ValidationError("layers, width, heads and the MLP ratio go up to \(1 << 20), the width of a head up to 256")
        }
        guard vocabulary <= Int(Int32.max) else { throw ValidationError("the vocabulary goes up to \(Int32.max)") }
    }

    func run() throws {
        let rows = try rows()
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(rows), as: UTF8.self))
        } else {
            print(table(rows))
        }
    }

    /// The weights of all layers: queries, keys, values and the way back, and the MLP.
    private var weights: Int {
        let headWidth = headWidth ?? width / heads
        return layers * width * (2 * headWidth * (heads + (keyHeads ?? heads)) + 2 * mlpRatio * width)
    }

    private func rows() throws -> [Row] {
        var mixers: [(String, AttentionConfiguration)] = [
            ("exponential", AttentionConfiguration(.exponential(window: nil))),
            ("linear", AttentionConfiguration(.power(degree: 1), form: form, chunkSize: chunkSize)),
        ]
        for degree in degree {
            let attention = AttentionConfiguration(.power(degree: degree), form: form, chunkSize: chunkSize, tile: tile)
            mixers.append(("power p=\(degree)", attention))
        }
        return try mixers.flatMap { name, attention in
            try context.map { context in
                let shape = AttentionShape(
                    length: context, heads: heads, keyHeads: keyHeads, width: headWidth ?? width / heads)
                let cost = try ModelCost(
                    weights: weights, headWeights: vocabulary * width, layers: layers, attention: attention, context: shape)
                return Row(
                    attention: name, form: cost.form.rawValue, context: context, weightFLOPsPerToken: cost.weightFLOPs,
                    headFLOPsPerToken: cost.headFLOPs, stateFLOPsPerToken: cost.stateFLOPs, ratio: cost.ratio,
                    wsfr: cost.ratioDescription, stateBytes: cost.stateBytes)
            }
        }
    }

    private func table(_ rows: [Row]) -> String {
        let head = [
            "attention", "form", "context", "weight MFLOP/token", "head MFLOP/token", "state MFLOP/token", "WSFR", "state MB",
        ]
        let lines = rows.map { row in
            [
                row.attention, row.form, "\(row.context)", String(format: "%.1f", row.weightFLOPsPerToken / 1e6),
                String(format: "%.1f", row.headFLOPsPerToken / 1e6), String(format: "%.1f", row.stateFLOPsPerToken / 1e6),
                row.wsfr, String(format: "%.1f", row.stateBytes / 1e6),
            ]
        }
        let widths = head.indices.map { column in ([head] + lines).map { $0[column].count }.max() ?? 0 }
        return ([head] + lines).map { line in
            zip(line, widths).enumerated().map { column, cell in
                let padding = String(repeating: " ", count: cell.1 - cell.0.count)
                return column < 2 ? cell.0 + padding : padding + cell.0
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
