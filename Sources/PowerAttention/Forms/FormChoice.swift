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

    /// On a CPU the largest power of two from 64 to 1,024 at which the pairs inside a chunk cost at most an eighth of the products with the
    /// state: small enough to cost little, large enough that the state seldom moves.
    ///
    /// On a GPU, of sizes that are whole tiles of all kernels, the one at which pairs and moving states take the least time together. A pair takes
    /// as long as its products, but no less than its weight, ``leastColumns``. A number of a state is moved once a chunk, which takes as long
    /// as ``movingFLOPs`` of pairs.
    static func chunkSize(_ problem: AttentionProblem, _ expansion: SymmetricPower, _ device: Device) -> Int {
        let (d, e) = (Double(problem.keyWidth), Double(problem.valueWidth))
        let (queryHeads, keyHeads) = (Double(problem.queryHeads), Double(problem.keyHeads))
        let perPair = (d + e) * queryHeads
        let numbers = Double(expansion.dimension) * (e + 1)
        if device == .cuda {
            let pairTime = max(perPair, leastColumns * queryHeads)
            func time(_ size: Int) -> Double { Double(size) * pairTime + movingFLOPs * numbers * keyHeads / Double(size) }
            return [1152, 768, 384].min { time($0) < time($1) } ?? 768
        }
        let perToken = 2 * numbers * (queryHeads + keyHeads)
        var size = 64
        while size < 1024 && Double(2 * size) * perPair <= perToken / 8 { size *= 2 }
        return size
    }

    /// As chunks of 384 to 2,304 tokens compare on an H100 at p = 1 and 2, d = 64 and 128 (Benchmarks/HOPPER.md).
    private static let movingFLOPs = 560.0
    /// Columns of queries and values, in all, whose products take as long as making a score a weight.
    private static let leastColumns = 104.0
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
