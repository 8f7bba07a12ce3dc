package import Foundation

/// A line of `metrics.jsonl`.
package enum MetricsLine: Sendable, Hashable {
    case step(StepRecord)
    case skipped(SkippedStep)

    package var step: Int {
        switch self {
        case .step(let record): record.step
        case .skipped(let record): record.step
        }
    }

    /// Reads lines.
    package struct Decoder {
        private let steps = JSONDecoder()
        private let skipped = JSONDecoder()

        package init() {
            skipped.nonConformingFloatDecodingStrategy = .convertFromString(
                positiveInfinity: Words.infinity, negativeInfinity: Words.negativeInfinity, nan: Words.notANumber)
        }

        /// - Throws: what is wrong with the line as that of a step that changed something, where it is of neither kind.
        package func line(_ data: Data) throws -> MetricsLine {
            do { return .step(try steps.decode(StepRecord.self, from: data)) } catch {
                guard let record = try? skipped.decode(SkippedStep.self, from: data) else { throw error }
                return .skipped(record)
            }
        }
    }

    /// Writes lines.
    package struct Encoder {
        private let steps = JSONEncoder()
        private let skipped = JSONEncoder()

        package init() {
            for encoder in [steps, skipped] { encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes] }
            skipped.nonConformingFloatEncodingStrategy = .convertToString(
                positiveInfinity: Words.infinity, negativeInfinity: Words.negativeInfinity, nan: Words.notANumber)
        }

        /// - Throws: where a step that changed something has numbers that are not finite.
        package func data(_ line: MetricsLine) throws -> Data {
            switch line {
            case .step(let record): try steps.encode(record)
            case .skipped(let record): try skipped.encode(record)
            }
        }
    }

    /// JSON has no such numbers.
    private enum Words {
        static let (infinity, negativeInfinity, notANumber) = ("inf", "-inf", "nan")
    }
}
