import Foundation
public import PowerAttention

extension ModelConfiguration {
    /// Checks every key.
    ///
    /// - Throws: `PowerAttentionError` that names the first key at fault, in its spelling in configuration files.
    public func validate() throws(PowerAttentionError) {
        try Self.check(vocabularySize, .vocabularySize, 1...1 << 24)
        try Self.check(layers, .layers, 1...1024)
        try Self.check(width, .width, 1...1 << 16)
        try Self.check(heads, .heads, 1...1024)
        try Self.check(keyHeads, .keyValueHeads, 1...1024)
        guard heads.isMultiple(of: keyHeads) else {
            throw Self.error(.keyValueHeads, "\(keyHeads)", "a divisor of the \(heads) heads")
        }
        guard headWidth != nil || width.isMultiple(of: heads) else {
            throw Self.error(.heads, "\(heads)", "a divisor of the width, \(width), or a head_width besides")
        }
        guard (2...256).contains(keyWidth), keyWidth.isMultiple(of: 2) else {
            throw Self.error(
                headWidth == nil ? .heads : .headWidth,
                headWidth == nil ? "\(heads) (a head of width \(keyWidth))" : "\(keyWidth)",
                "heads of an even width in 2…256, because rotary positions turn pairs")
        }
        try Self.check(hiddenWidth, .mlpWidth, 1...1 << 20)
        guard rotaryBase >= 1, rotaryBase.isFinite else {
            throw Self.error(.rotaryBase, "\(rotaryBase)", "a number of at least 1")
        }
        if case .power(let degree) = mixer { try Self.check(degree, .degree, 1...4) }
        if case .exponential(let window?) = mixer { try Self.check(window, .window, 1...Int.max) }
        if let chunkSize { try Self.check(chunkSize, .chunkSize, 1...1 << 24) }
        try attention.validate()
    }

    /// Checks that tokens are in the vocabulary.
    package func check(_ tokens: [Int32], argument: String = "tokens") throws(PowerAttentionError) {
        if let token = tokens.first(where: { $0 < 0 || $0 >= vocabularySize }) {
            throw PowerAttentionError(argument: argument, given: "token \(token)", expected: "0…\(vocabularySize - 1)")
        }
    }

    private static func check(
        _ value: Int, _ key: CodingKeys, _ legal: ClosedRange<Int>
    ) throws(PowerAttentionError) {
        guard legal.contains(value) else {
            let range = legal.upperBound == .max ? "at least \(legal.lowerBound)" : "\(legal.lowerBound)…\(legal.upperBound)"
            throw error(key, "\(value)", range)
        }
    }

    private static func error(_ key: CodingKeys, _ given: String, _ expected: String) -> PowerAttentionError {
        PowerAttentionError(argument: key.rawValue, given: given, expected: expected)
    }
}
