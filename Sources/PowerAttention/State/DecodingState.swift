/// What a sequence mixer carries from one token to the next, whichever mixer it is.
public enum DecodingState: Sendable {
    /// Power and linear attention.
    case recurrent(RecurrentState)
    /// Exponential attention.
    case keyValues(KeyValueCache)

    /// The bytes held.
    public var byteCount: Int {
        switch self {
        case .recurrent(let state): state.byteCount
        case .keyValues(let cache): cache.byteCount
        }
    }
}
