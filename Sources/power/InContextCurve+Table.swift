import Foundation
import Training

extension InContextCurve {
    /// The curve as a table for people.
    var table: String {
        let head = ["position", "loss", "± std. error", "tokens"]
        var rows = bins.map { bin in
            let last = bin.to - 1
            return [
                bin.from == last ? "\(bin.from)" : "\(bin.from)–\(last)", Self.number(bin.loss), Self.number(bin.standardError),
                "\(bin.count)",
            ]
        }
        rows.append(["all", Self.number(meanLoss), Self.number(standardError), "\(tokens)"])
        let widths = head.indices.map { column in ([head] + rows).map { $0[column].count }.max() ?? 0 }
        let lines = ([head] + rows).map { row in
            zip(row, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined(separator: "  ")
        }
        let windows = "\(windows) window\(windows == 1 ? "" : "s") of \(context) tokens"
        let documents = "\(documents) held-out document\(documents == 1 ? "" : "s")"
        return "Loss in nats a token, over \(windows) from \(documents)\n\n" + lines.joined(separator: "\n")
    }

    /// The curve in one sentence.
    var summary: String {
        let (first, last) = (bins.first { $0.from >= 15 } ?? bins[0], bins[bins.count - 1])
        return "Held-out loss \(Self.number(meanLoss)) nats a token: \(Self.number(first.loss)) at positions "
            + "\(first.from)–\(first.to - 1) of the context, \(Self.number(last.loss)) at \(last.from)–\(last.to - 1)"
    }

    private static func number(_ value: Double?) -> String { value.map { String(format: "%.4f", $0) } ?? "–" }

    /// The content of `eval.json`.
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
