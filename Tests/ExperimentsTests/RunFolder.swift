import Experiments
import Foundation

/// A folder like those of training runs, removed when the value goes away.
final class RunFolder {
    let url: URL
    var path: String { url.path }

    static let configuration = """
        {"model": {"mixer": "power", "degree": 2, "gated": true, "layers": 2, "width": 64, "rotary_base": 10000.0},
         "training": {"learning_rate": 0.003, "steps": 200}, "data": {"path": "a <b> & \\"c\\""}, "tokenizer": "bytes",
         "parameters": 123456}
        """
    static let evaluation = """
        {"context": 8, "documents": 2, "windows": 3, "tokens": 24, "mean_loss": 2.1, "standard_error": 0.05, "bins": [
         {"from": 0, "to": 1, "loss": 3.0, "standard_error": 0.2, "count": 3},
         {"from": 1, "to": 3, "loss": 2.5, "standard_error": 0.1, "count": 6},
         {"from": 3, "to": 8, "loss": 1.5, "count": 15}]}
        """
    static let sample = #"{"prompt": "It is <i>", "text": "It is <i> a & b\u0007 \ud83d\ude42"}"#

    static func line(_ step: Int, heldOut: Bool = false) -> String {
        let loss = 2 + 3.5 / Double(step)
        return #"{"step":\#(step),"tokens":\#(step * 512),"loss":\#(loss),"learning_rate":0.001,"gradient_norm":0.5,"#
            + #""seconds":\#(Double(step) / 4),"tokens_per_second":2048,"flops":\#(step)e9"#
            + (heldOut ? #","held_out_loss":\#(loss + 0.1)}"# : "}") + "\n"
    }

    static func skippedLine(_ step: Int, _ count: Int, spike: Bool = false) -> String {
        let numbers =
            spike
            ? #""loss":3.5,"gradient_norm":123456,"reason":"spike""#
            : #""loss":"nan","gradient_norm":"inf","reason":"not_finite","first":"the input of norm""#
        return #"{"step":\#(step),"tokens":\#(step * 512),"seconds":\#(Double(step) / 4),"skipped":\#(count),"# + numbers
            + "}\n"
    }

    static func metrics(_ steps: Int) -> String {
        (1...steps).map { line($0, heldOut: $0.isMultiple(of: 50)) }.joined()
    }

    /// - Parameter files: contents that replace the usual ones; `nil` leaves a file out.
    init(_ name: String = "run", steps: Int = 200, files: [String: Data?] = [:]) throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("report-\(UUID().uuidString)")
            .appendingPathComponent(name)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        var contents: [String: Data?] = [
            "config.json": Data(Self.configuration.utf8), "metrics.jsonl": Data(Self.metrics(steps).utf8),
            "eval.json": Data(Self.evaluation.utf8), "sample.json": Data(Self.sample.utf8),
        ]
        contents.merge(files) { $1 }
        for (file, data) in contents { try data?.write(to: url.appendingPathComponent(file)) }
    }

    deinit { try? FileManager.default.removeItem(at: url.deletingLastPathComponent()) }
}
