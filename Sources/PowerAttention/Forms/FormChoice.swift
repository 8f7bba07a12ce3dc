import BackendInterface
import Foundation
import Tensors

/// Which form evaluates a problem, with what chunk size, and why: a pure function of the problem and of the memory allowed.
struct FormChoice: Sendable, Hashable, CustomStringConvertible {
    let form: AttentionConfiguration.Form
    /// In the attention form, one chunk holds the longest sequence.
    let chunkSize: Int
    let reason: String

    var description: String {
        let chunks = form == .chunked ? ", \(chunkSize) tokens a chunk" : ""
        return "\(form.rawValue)\(chunks): \(reason)"
    }

    /// States may take a quarter of the machine's memory.
    static let stateLimit = Double(ProcessInfo.processInfo.physicalMemory) / 4

    /// - Throws: `PowerAttentionError` where the form asked for, or a state that goes in or out, does not fit in memory.
    init(
        _ problem: AttentionProblem, _ configuration: AttentionConfiguration, device: Device = .cpu, initialState: Bool,
        finalState: Bool, stateLimit: Double = stateLimit
    ) throws(PowerAttentionError) {
        let longest = max(problem.sequences.map(\.count).max() ?? 0, 1)
        guard let expansion = problem.expansion else {
            guard !initialState && !finalState else {
                throw PowerAttentionError(
                    argument: "state", given: "a state for exponential attention",
                    expected: "none: an exponential has no state of constant size")
            }
            self.init(form: .attention, chunkSize: longest, reason: "an exponential has no other form")
            return
        }
        let chunkSize = min(configuration.chunkSize ?? Self.chunkSize(problem, expansion, device), longest)
        // Sequences are swept side by side, each with a state of its own.
        let states = Double(max(problem.sequences.count, 1)) * Double(problem.keyHeads)
        let bytes = 4 * states * Double(expansion.dimension) * Double(problem.valueWidth + 1)
        guard bytes <= stateLimit else {
            guard !initialState && !finalState && (configuration.form == .automatic || configuration.form == .attention) else {
                throw PowerAttentionError(
                    .unsupported, argument: configuration.form == .automatic ? "state" : "form",
                    given: "\(configuration.form.rawValue) with a state of \(formatted(bytes: bytes))",
                    expected: "the attention form without states, or a state of at most \(formatted(bytes: stateLimit)) "
                        + "(a quarter of this machine's memory)")
            }
            let reason = "a state would take \(formatted(bytes: bytes))"
            self.init(form: .attention, chunkSize: longest, reason: reason)
            return
        }
        if configuration.form != .automatic {
            self.init(
                form: configuration.form, chunkSize: configuration.form == .attention ? longest : chunkSize,
                reason: "asked for")
        } else if longest == 1 {
            self.init(form: .recurrent, chunkSize: 1, reason: "one token a sequence")
        } else {
            func cost(_ form: AttentionConfiguration.Form) -> Double {
                AttentionCost(problem, form: form, chunkSize: chunkSize, initialState: initialState, finalState: finalState)
                    .forwardFLOPs
            }
            let (attention, chunked) = (cost(.attention), cost(.chunked))
            self.init(
                form: chunked < attention ? .chunked : .attention, chunkSize: chunked < attention ? chunkSize : longest,
                reason: "\(formatted(count: chunked))FLOP chunked, \(formatted(count: attention))FLOP as attention")
        }
    }

    private init(form: AttentionConfiguration.Form, chunkSize: Int, reason: String) {
        self.form = form
        self.chunkSize = chunkSize
        self.reason = reason
    }

    /// A power of two, at most 1,024. On a CPU the largest from 64 at which the pairs inside a chunk cost at most an eighth of the products
    /// with the state: small enough to cost little, large enough that the state seldom moves.
    ///
    /// On a GPU the one from 128 at which pairs and moving states take the least time together. A number of a state is moved once a chunk,
    /// which takes as long as ``movingFLOPs`` of pairs.
    static func chunkSize(_ problem: AttentionProblem, _ expansion: SymmetricPower, _ device: Device) -> Int {
        let (d, e) = (Double(problem.keyWidth), Double(problem.valueWidth))
        let (queryHeads, keyHeads) = (Double(problem.queryHeads), Double(problem.keyHeads))
        let perPair = (d + e) * queryHeads
        let numbers = Double(expansion.dimension) * (e + 1)
        if device == .cuda {
            func time(_ size: Int) -> Double { Double(size) * perPair + movingFLOPs * numbers * keyHeads / Double(size) }
            return [1024, 512, 256, 128].min { time($0) < time($1) } ?? 1024
        }
        let perToken = 2 * numbers * (queryHeads + keyHeads)
        var size = 64
        while size < 1024 && Double(2 * size) * perPair <= perToken / 8 { size *= 2 }
        return size
    }

    /// A number of a state is written, added up and read, 12 bytes in all, and the kernels do about 100 FLOPs in the time of a byte on an H100:
    /// what chunks of 512 and 2,048 instead of 1,024 cost at p = 2 agrees with this (Benchmarks/HOPPER.md).
    private static let movingFLOPs = 1200.0
}

/// A number of bytes for people: `188.3 GB`.
func formatted(bytes: Double) -> String { formatted(count: bytes) + "B" }

/// A number with a decimal prefix: `1.23 G`.
func formatted(count: Double) -> String {
    var value = count
    var prefixes = ["", "k", "M", "G", "T", "P"][...]
    while value >= 1000 && prefixes.count > 1 {
        value /= 1000
        prefixes = prefixes.dropFirst()
    }
    return String(format: "%.\(prefixes.count == 6 ? 0 : 1)f ", value) + (prefixes.first ?? "")
}
