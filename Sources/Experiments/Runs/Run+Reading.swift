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
        let (steps, skippedSteps) = try Self.steps(folder, path)
        self.init(
            path: path, name: folder.standardizedFileURL.lastPathComponent, configuration: configuration,
            steps: steps, skippedSteps: skippedSteps, evaluation: evaluation,
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

    private static func steps(
        _ folder: URL, _ path: String
    ) throws(PowerAttentionError) -> (changed: [StepRecord], skipped: [SkippedStep]) {
        guard let data = try contents(folder, path, "metrics.jsonl") else {
            throw PowerAttentionError(
                .inputOutput, argument: "\(path)/metrics.jsonl", given: "no such file",
                expected: "the folder of a training run, which holds a line of metrics a step")
        }
        let decoder = MetricsLine.Decoder()
        let newline = UInt8(ascii: "\n")
        var steps: [StepRecord] = []
        var skipped: [SkippedStep] = []
        var progress = Progress()
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
                let line = try decoder.line(line)
                if let fault = progress.fault(line) { throw damaged(fault.given, fault.expected) }
                switch line {
                case .step(let step): steps.append(step)
                case .skipped(let step): skipped.append(step)
                }
            } catch let error as PowerAttentionError {
                throw error
            } catch {
                if end == nil { break }
                throw damaged(reason(error), "a step's record in JSON")
            }
        }
        return (steps, skipped)
    }
}

/// What must not fall from one line of metrics to the next.
private struct Progress {
    private var step = 0, tokens = 0, skipped = 0
    private var seconds = 0.0, flops = 0.0

    /// What is wrong with the numbers of a line after those of the lines before, or `nil`.
    mutating func fault(_ line: MetricsLine) -> (given: String, expected: String)? {
        switch line {
        case .step(let record):
            if let fault = fault(step: record.step, tokens: record.tokens, seconds: record.seconds) { return fault }
            guard record.flops >= flops else { return ("\(record.flops) FLOPs after \(flops)", "a number that does not fall") }
            flops = record.flops
            for loss in [record.loss, record.heldOutLoss ?? 0] where !Run.legalLosses.contains(loss) {
                return ("a loss of \(loss)", "nats: a number from 0 to 1e100")
            }
        case .skipped(let record):
            if let fault = fault(step: record.step, tokens: record.tokens, seconds: record.seconds) { return fault }
            guard record.skipped > skipped, record.skipped <= record.step else {
                return ("\(record.skipped) skipped steps after \(skipped)", "one more with every line, and no more than steps")
            }
            skipped = record.skipped
        }
        return nil
    }

    private mutating func fault(step: Int, tokens: Int, seconds: Double) -> (given: String, expected: String)? {
        guard step > self.step else { return ("step \(step) after step \(self.step)", "steps in increasing order") }
        guard tokens >= self.tokens else { return ("\(tokens) tokens after \(self.tokens)", "a number that does not fall") }
        guard seconds >= self.seconds, seconds < .infinity else {
            return ("\(seconds) s after \(self.seconds) s", "a number that does not fall")
        }
        guard tokens <= Run.largestCount else { return ("\(tokens) tokens", "at most 2^53") }
        (self.step, self.tokens, self.seconds) = (step, tokens, seconds)
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
