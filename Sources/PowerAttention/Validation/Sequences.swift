import Tensors

/// The ranges of tokens that attend among themselves: the batch entries, or what `cu_seqlens` cuts a packed batch into.
///
/// - Parameter cuSeqlens: n + 1 offsets from 0 to t that do not decrease, for a batch of one.
func sequences(batch: Int, length: Int, cuSeqlens: [Int]?) throws(PowerAttentionError) -> [Range<Int>] {
    guard let cuSeqlens else { return (0..<batch).map { $0 * length..<($0 + 1) * length } }
    func fault(_ given: String, _ expected: String) -> PowerAttentionError {
        PowerAttentionError(argument: "cu_seqlens", given: given, expected: expected)
    }
    guard batch == 1 else { throw fault("a batch of \(batch)", "a batch of one, its sequences one after another") }
    guard let first = cuSeqlens.first, cuSeqlens.count >= 2 else {
        throw fault("\(cuSeqlens.count) offsets", "at least two: 0 and the number of tokens")
    }
    guard first == 0 else { throw fault("\(first) at the start", "0") }
    var ranges: [Range<Int>] = []
    for (start, end) in zip(cuSeqlens, cuSeqlens.dropFirst()) {
        guard start <= end else { throw fault("\(end) after \(start)", "offsets that do not decrease") }
        ranges.append(start..<end)
    }
    guard cuSeqlens.last == length else {
        throw fault("\(cuSeqlens.last ?? 0) at the end", "\(length), the number of tokens")
    }
    return ranges
}
