import CUDARuntime
import Foundation
import Training

/// Shows how a training run goes: a live line on a terminal, else a plain line now and then.
final class TrainingProgress {
    private let steps: Int
    private let terminal: Terminal
    private let start = ContinuousClock.now
    private var firstStep: Int?
    private var firstStepSeconds = 0.0
    private var lastLine: ContinuousClock.Instant?
    private var heldOut = ""

    /// Seconds between two plain lines.
    private static let interval = 10.0

    init(steps: Int, terminal: Terminal = .standardError) {
        self.steps = steps
        self.terminal = terminal
    }

    func report(_ record: StepRecord) {
        let first = firstStep ?? record.step
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        // The first step fills caches, and on a card compiles kernels: it does not count once there are others.
        if firstStep == nil { firstStepSeconds = elapsed }
        firstStep = first
        let others = record.step - first
        let secondsPerStep = others == 0 ? elapsed : (elapsed - firstStepSeconds) / Double(others)
        if let loss = record.heldOutLoss { heldOut = String(format: "  held-out %.4f", loss) }
        let text =
            "step \(record.step)/\(steps)" + String(format: "  loss %.4f", record.loss) + heldOut
            + "  \(Self.grouped(record.tokensPerSecond)) tokens/s" + Self.utilization(record)
            + "  \(Self.duration(secondsPerStep * Double(steps - record.step))) left"
        if terminal.isInteractive {
            terminal.show(text)
        } else if record.step == first || record.step == steps || secondsSinceLine >= Self.interval {
            terminal.line(text)
            lastLine = .now
        }
    }

    /// The parts of a card's peak that weights and states take, and its memory; nothing on the CPU.
    private static func utilization(_ record: StepRecord) -> String {
        guard let memory = record.memory else { return "" }
        var text = "  \(MemoryReport.text(memory))"
        if let weights = record.weightUtilization, let states = record.stateUtilization {
            text += String(
                format: "  MFU %.1f%% (weights %.1f, states %.1f)", 100 * (weights + states), 100 * weights, 100 * states)
        }
        return text
    }

    func finish() { terminal.show("") }

    private var secondsSinceLine: Double { lastLine.map { (ContinuousClock.now - $0) / .seconds(1) } ?? .infinity }

    /// `12,345`.
    static func grouped(_ value: Double) -> String {
        let digits = String(Int(max(0, min(value, 1e15)).rounded()))
        var result = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { result.append(",") }
            result.append(digit)
        }
        return result
    }

    /// `45 s`, `3:20 min` or `2:05 h`.
    static func duration(_ seconds: Double) -> String {
        let seconds = Int(max(0, min(seconds, 1e9)).rounded())
        if seconds < 60 { return "\(seconds) s" }
        if seconds < 3600 { return String(format: "%d:%02d min", seconds / 60, seconds % 60) }
        return String(format: "%d:%02d h", seconds / 3600, seconds % 3600 / 60)
    }
}
