import Foundation
public import Tensors

/// Which documents are held out from training.
///
/// Every document has a number that depends on its name and the seed alone; those with the least numbers are held out. So the
/// choice does not depend on where the files are or in which order they are found, and documents that are added later displace
/// few of those chosen before. Documents may be named, too, by the folders that they are in.
public struct HeldOutSplit: Sendable, Hashable {
    /// How much is held out.
    public enum Amount: Sendable, Hashable {
        case documents(Int)
        /// A part of the documents, rounded to the nearest number of them, at least one.
        case fraction(Double)
    }

    public var amount: Amount
    public var seed: UInt64
    /// Files and folders, as paths from where the search began: documents of what is in them are held out. The amount is that of the
    /// others.
    public var paths: [String] = []

    public init(_ amount: Amount, seed: UInt64 = 0) {
        self.amount = amount
        self.seed = seed
    }

    /// A count, such as `3`, or a fraction, such as `0.05` or `5%`.
    ///
    /// - Throws: ``PowerAttentionError`` with code `invalidArgument` for anything else.
    public init(_ text: String, seed: UInt64 = 0) throws(PowerAttentionError) {
        if let count = Int(text), count >= 0 {
            self.init(.documents(count), seed: seed)
        } else if text.hasSuffix("%"), let percent = Double(text.dropLast()), percent > 0, percent < 100 {
            self.init(.fraction(percent / 100), seed: seed)
        } else if let fraction = Double(text), fraction > 0, fraction < 1 {
            self.init(.fraction(fraction), seed: seed)
        } else {
            throw PowerAttentionError(
                argument: "held-out", given: "\"\(text)\"", expected: "a number of documents, or a part such as 0.05 or 5%")
        }
    }

    /// Which of the documents of these names are held out.
    ///
    /// - Throws: ``PowerAttentionError`` with code `invalidArgument` where none would be left to train on, or where a path has no
    ///   document.
    public func heldOut(among names: [String]) throws(PowerAttentionError) -> [Bool] {
        var result = [Bool](repeating: false, count: names.count)
        for path in paths {
            let place = TextSearch.trimmed(path)
            let chosen = names.indices.filter { TextSearch.contains(place, TextSearch.trimmed(names[$0])) }
            guard !chosen.isEmpty else {
                throw PowerAttentionError(
                    argument: "held-out path", given: "\"\(path)\", which has no document",
                    expected: "a file or a folder, from an input on")
            }
            for index in chosen { result[index] = true }
        }
        let others = names.indices.filter { !result[$0] }
        let count: Int
        switch amount {
        case .documents(let documents): count = documents
        case .fraction(let fraction): count = max(1, Int((fraction * Double(others.count)).rounded()))
        }
        guard count >= 0, count < others.count || names.isEmpty && count == 0 else {
            throw PowerAttentionError(
                argument: "held-out", given: "\(count) of \(others.count) documents", expected: "at least one left to train on")
        }
        let numbers = names.map(number)
        let order = others.sorted { (numbers[$0], $0) < (numbers[$1], $1) }
        for index in order.prefix(count) { result[index] = true }
        return result
    }

    /// FNV-1a of the name, mixed with the seed by one step of SplitMix64.
    private func number(of name: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        var generator = RandomGenerator(seed: hash ^ seed &* 0x9E37_79B9_7F4A_7C15)
        return generator.next()
    }
}
