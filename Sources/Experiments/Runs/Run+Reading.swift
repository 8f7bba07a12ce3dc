import Foundation
public import Tensors
import Training

extension Run {
    /// Reads a run folder: `config.json` and `metrics.jsonl`, and `eval.json` and `sample.json` where they exist.
    ///
    /// The last line of `metrics.jsonl` may be unfinished, because a run that is going on may be writing it; it is left out.
    ///
    /// - Throws: ``PowerAttentionError`` that names the file and the line, where a file is missing or damaged.
    /// - Complexity: O(size of the files).
    public init(path: String) throws(PowerAttentionError) {
        let path = Self.withoutTrailingSlashes(path)
        let folder = URL(fileURLWithPath: path, isDirectory: true)
        let configuration = try Self.decode(ConfigurationValue.self, folder, path, "config.json")
        guard let configuration, configuration.isTable else {
            throw PowerAttentionError(
                configuration == nil ? .inputOutput : .damagedFile, argument: "\(path)/config.json",
                given: configuration == nil ? "no such file" : "\(configuration?.words ?? "")",
                expected: "the folder of a training run, which holds a configuration")
        }
        let evaluation = try Self.decode(InContextCurve.self, folder, path, "eval.json")
        if let fault = evaluation?.fault {
            throw PowerAttentionError(
                .damagedFile, argument: "\(path)/eval.json", given: fault.given, expected: fault.expected)
        }
        self.init(
            path: path, name: folder.standardizedFileURL.lastPathComponent, configuration: configuration,
            steps: try Self.steps(folder, path), evaluation: evaluation,
            sample: try Self.decode(Sample.self, folder, path, "sample.json"))
    }

    /// What can be told from others of its kind when it is drawn.
    static let legalLosses = 0...1e100
    /// Larger integers have no neighbours in double precision.
    static let largestCount = 1 << 53

    private static func withoutTrailingSlashes(_ path: String) -> String {
        let name = path.drop { $0 == "/" }
        let slashes = name.reversed().prefix { $0 == "/" }.count
        return String(path.dropLast(slashes))
    }

    /// The contents of a file, or `nil` where it does not exist.
    private static func contents(_ folder: URL, _ path: String, _ file: String) throws(PowerAttentionError) -> Data? {
        do {
            return try Data(contentsOf: folder.appendingPathComponent(file))
        } catch CocoaError.fileReadNoSuchFile {
            return nil
        } catch {
            throw PowerAttentionError(
                .inputOutput, argument: "\(path)/\(file)", given: "an unreadable file", expected: "a readable one",
                cause: error)
        }
    }

    private static func decode<Value: Decodable>(
        _ type: Value.Type, _ folder: URL, _ path: String, _ file: String
    ) throws(PowerAttentionError) -> Value? {
        guard let data = try contents(folder, path, file) else { return nil }
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            throw PowerAttentionError(
                .damagedFile, argument: "\(path)/\(file)", given: reason(error), expected: "JSON as a training run writes it")
        }
    }

    private static func steps(_ folder: URL, _ path: String) throws(PowerAttentionError) -> [StepRecord] {
        guard let data = try contents(folder, path, "metrics.jsonl") else {
            throw PowerAttentionError(
                .inputOutput, argument: "\(path)/metrics.jsonl", given: "no such file",
                expected: "the folder of a training run, which holds a line of metrics a step")
        }
        let decoder = JSONDecoder()
        let newline = UInt8(ascii: "\n")
        var steps: [StepRecord] = []
        var start = data.startIndex
        var number = 0
        while start < data.endIndex {
            let end = data[start...].firstIndex(of: newline)
            let line = data[start..<(end ?? data.endIndex)]
            start = (end ?? data.endIndex - 1) + 1
            number += 1
            func damaged(_ given: String, _ expected: String) -> PowerAttentionError {
                PowerAttentionError(
                    .damagedFile, argument: "\(path)/metrics.jsonl line \(number)", given: given, expected: expected)
            }
            do {
                let step = try decoder.decode(StepRecord.self, from: line)
                if let fault = step.fault(after: steps.last) { throw damaged(fault.given, fault.expected) }
                steps.append(step)
            } catch let error as PowerAttentionError {
                throw error
            } catch {
                if end == nil { break }
                throw damaged(reason(error), "a step's record in JSON")
            }
        }
        return steps
    }
}

extension StepRecord {
    /// What is wrong with the numbers of this line after those of the line before, or `nil`.
    fileprivate func fault(after last: StepRecord?) -> (given: String, expected: String)? {
        let (before, tokensBefore, secondsBefore) = (last?.step ?? 0, last?.tokens ?? 0, last?.seconds ?? 0)
        guard step > before else { return ("step \(step) after step \(before)", "steps in increasing order") }
        guard tokens >= tokensBefore else { return ("\(tokens) tokens after \(tokensBefore)", "a number that does not fall") }
        guard seconds >= secondsBefore else { return ("\(seconds) s after \(secondsBefore) s", "a number that does not fall") }
        if flops < last?.flops ?? 0 {
            return ("\(flops) FLOPs after \(last?.flops ?? 0)", "a number that does not fall")
        }
        for loss in [loss, heldOutLoss ?? 0] where !Run.legalLosses.contains(loss) {
            return ("a loss of \(loss)", "nats: a number from 0 to 1e100")
        }
        guard tokens <= Run.largestCount else { return ("\(tokens) tokens", "at most 2^53") }
        return nil
    }
}

/// A decoder's reason in one line.
private func reason(_ error: any Error) -> String {
    switch error {
    case DecodingError.keyNotFound(let key, _): "no \"\(key.stringValue)\""
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
        "an illegal value of \"\(context.codingPath.map(\.stringValue).joined(separator: "."))\""
    case DecodingError.dataCorrupted: "text that is not JSON, or a number out of range"
    default: "\(error)"
    }
}
