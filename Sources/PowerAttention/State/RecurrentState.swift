import BackendInterface
import Foundation
import Tensors

/// What power attention carries from one token to the next: a value that can be copied, saved, loaded and advanced.
///
/// Short contexts keep keys and values and are answered by attention, which costs less than the state while they are short.
/// Once `switchOver` tokens are held, they fold into the expanded state `S`, `z` (paper, section 3), and every later token is
/// added to it: from then on memory and time a token are constant. The answers do not depend on when that happens.
///
/// ```swift
/// var state = try attention.makeRecurrentState(keyHeads: 4, keyWidth: 64, valueWidth: 64)
/// let y = try attention.advance(&state, q: q, k: k, v: v, logG: logG)   // one token or many
/// ```
public struct RecurrentState: Sendable {
    /// p.
    public let degree: Int
    /// τ, the tile of the symmetric power.
    public let tile: Int
    /// The number of sequences, which advance together.
    public let sequences: Int
    public let keyHeads: Int
    /// d.
    public let keyWidth: Int
    /// e.
    public let valueWidth: Int
    /// The number of tokens at which keys and values fold into the expanded state; `Int.max` where it would not fit in memory.
    public let switchOver: Int
    /// The number of tokens that each sequence has seen.
    public internal(set) var tokens: [Int]

    /// What is held before the switch-over; empty after it.
    package internal(set) var buffer: KeyValueCache
    /// What is held after the switch-over.
    package internal(set) var expanded: ExpandedState?

    init(_ shape: AttentionShape, _ expansion: SymmetricPower, switchOver: Int) {
        degree = expansion.degree
        tile = expansion.tile
        sequences = shape.batch
        keyHeads = shape.keyHeads
        keyWidth = shape.keyWidth
        valueWidth = shape.valueWidth
        self.switchOver = switchOver
        tokens = [Int](repeating: 0, count: sequences)
        buffer = KeyValueCache(shape)
    }

    /// Whether keys and values have been folded into the expanded state.
    public var isFolded: Bool { expanded != nil }

    /// The bytes held.
    public var byteCount: Int {
        guard let expanded else { return buffer.byteCount }
        return expanded.S.count * expanded.S.dataType.byteCount + expanded.z.count * expanded.z.dataType.byteCount
    }

    /// Throws where a setting of the state is not that of the operator.
    func check(_ configuration: AttentionConfiguration) throws(PowerAttentionError) {
        guard let degree = configuration.mechanism.degree, degree == self.degree else {
            throw PowerAttentionError(
                argument: "state", given: "a state of degree \(self.degree)", expected: "one of \(configuration.mechanism)")
        }
        guard tile == configuration.tile else {
            throw PowerAttentionError(
                argument: "state", given: "a state with tile \(tile)", expected: "tile \(configuration.tile)")
        }
    }

    var expansion: SymmetricPower { SymmetricPower(degree: degree, width: keyWidth, tile: tile) }

    /// The number of tokens whose keys and values cost as much to attend to as the expanded state costs to read and advance.
    static func defaultSwitchOver(_ expansion: SymmetricPower, valueWidth: Int) -> Int {
        let bytes = 4 * Double(expansion.dimension) * Double(valueWidth + 1)
        guard bytes <= FormChoice.stateLimit else { return .max }
        return max(64, 2 * expansion.dimension * (valueWidth + 1) / (expansion.width + valueWidth))
    }
}
